from typing import Any

def lstm_forward(
    gates: Any, cell: Any, reset: Any | None, next: Any, output: Any, carried: Any, reset_next: Any | None
) -> None: ...
def lstm_backward(
    gates: Any,
    cell: Any,
    reset: Any | None,
    next: Any,
    d_output: Any,
    d_hidden: Any,
    reset_next: Any | None,
    d_cell: Any,
) -> None: ...
def mingru_forward(raw: Any, inputs: Any, start: Any, resets: Any, states: Any, outputs: Any) -> None: ...
def mingru_backward(
    raw: Any, inputs: Any, start: Any, resets: Any, states: Any, d_outputs: Any, d_inputs: Any, d_raw: Any
) -> None: ...
def sample_actions(heads: Any, uniform: Any, chosen: Any, logprob: Any, value: Any) -> None: ...
def advantages(
    rewards: Any,
    values: Any,
    ratios: Any,
    done: Any,
    final_value: Any,
    bootstrap: Any,
    gamma: float,
    gae_lambda: float,
    rho_clip: float,
    c_clip: float,
    out: Any,
) -> None: ...
