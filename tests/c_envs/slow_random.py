"""The generator of the environments once more, in whole numbers: PCG-XSH-RR 64/32 seeded through SplitMix64."""

from __future__ import annotations

from dataclasses import dataclass

WORD = 2**64


def mix(value: int) -> int:
    """The output function of SplitMix64 one step after `value`."""
    value = (value + 0x9E3779B97F4A7C15) % WORD
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % WORD
    return value ^ (value >> 31)


def derive(seed: int, index: int) -> int:
    return mix(mix(seed) ^ index)


@dataclass
class Pcg32:
    state: int
    stream: int

    @classmethod
    def seeded(cls, seed: int) -> Pcg32:
        stream = mix(seed ^ 0xA5A5A5A5A5A5A5A5) | 1
        random = cls((mix(seed) + stream) % WORD, stream)
        random.next()
        return random

    def next(self) -> int:
        old = self.state
        self.state = (old * 6364136223846793005 + self.stream) % WORD
        word = ((old ^ (old >> 18)) >> 27) % 2**32
        turn = old >> 59
        return (word >> turn | word << (32 - turn)) % 2**32

    def below(self, count: int) -> int:
        """Uniform in 0 .. count-1: the words that would favour some numbers are thrown away."""
        while True:
            product = self.next() * count
            if product % 2**32 >= 2**32 % count:
                return product >> 32

    def unit(self) -> float:
        return (self.next() >> 8) / 2**24
