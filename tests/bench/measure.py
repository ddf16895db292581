# SPDX-License-Identifier: LGPL-2.1-or-later
"""Times of commands in the guest, compared in alternating rounds, and their lines."""

import statistics

from host import Failure

VFIOCTL = "vfioctl --no-ask-password"


def timed(host, command, expected, seconds=300):
    """Milliseconds that a command takes. All of `expected` are on their drivers afterwards."""
    out = host.sh(f"udevadm settle --timeout=120; a=$EPOCHREALTIME; {{ {command}; }} > /dev/null || exit; "
                  "b=$EPOCHREALTIME; echo $(( ${b/./} - ${a/./} ))", seconds=seconds).out
    facts = host.facts()
    wrong = {a: facts.get(a, ("gone",))[0] for a, driver in expected.items()
             if facts.get(a, ("gone",))[0] != driver}
    if wrong:
        raise Failure(f"after {command[:60]}: {wrong}")
    return int(out) / 1000


class Comparison:
    """What the floor and vfiod take for the same things, by name of the thing."""

    def __init__(self, rounds):
        self.rounds, self.times = rounds, {}

    def alternate(self, measure):
        """Calls measure(program) for both programs in each round, once the one and once the other
        first. It returns {thing: milliseconds}."""
        for number in range(self.rounds):
            for program in ("vfiod", "floor") if number % 2 else ("floor", "vfiod"):
                for thing, time in measure(program).items():
                    self.times.setdefault((program, thing), []).append(time)

    def median(self, program, thing):
        return statistics.median(self.times[program, thing])

    def line(self, thing, **more):
        """Prints the line of a thing. `more`: times of other programs that did it once."""
        floor, vfiod = self.median("floor", thing), self.median("vfiod", thing)
        words = [f"bench {thing} floor_ms={floor:.0f} vfiod_ms={vfiod:.0f} ratio={vfiod / floor:.2f} "
                 f"runs={self.rounds}"]
        words += [f"{name}_ms={time:.0f} {name}_times={time / vfiod:.1f}" for name, time in more.items()]
        words += [f"{program}_all=" + ",".join(f"{t:.0f}" for t in self.times[program, thing])
                  for program in ("floor", "vfiod")]
        print(" ".join(words), flush=True)
