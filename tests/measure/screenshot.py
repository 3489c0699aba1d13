"""Makes docs/screenshot.svg from the running app: goes on with a copy of a run and takes the screen after some seconds.

python tests/measure/screenshot.py RUN_FOLDER [--size 160x48] [--seconds 30] [--out docs/screenshot.svg]
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path

from engine import Profile, RunFolder, TrainingSession
from perx_tui.tui.app import PerxApp


async def take(run: Path, size: tuple[int, int], seconds: float, out: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / run.name
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("control.sock", "lock"))
        text = RunFolder.read(copy).profile_toml
        total = int(1.2 * Profile.from_toml(text).train.total_steps)
        profile = Profile.from_toml(text, name="breakout", sets=[f"train.total_steps={total}"])
        app = PerxApp(TrainingSession(profile, runs=copy.parent, resume=copy))
        async with app.run_test(size=size) as pilot:
            await asyncio.sleep(seconds)
            await pilot.pause()
            out.parent.mkdir(exist_ok=True)
            out.write_text(app.export_screenshot(title="perx-tui"), "utf-8")
            app.session.stop(checkpoint=False)
            app.session.join(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--size", default="160x48")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--out", type=Path, default=Path("docs/screenshot.svg"))
    arguments = parser.parse_args()
    columns, lines = (int(each) for each in arguments.size.split("x"))
    asyncio.run(take(arguments.run, (columns, lines), arguments.seconds, arguments.out))


if __name__ == "__main__":
    main()
