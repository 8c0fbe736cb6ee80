"""A fuzzer that is guided by the lines that it reaches: `python -m tests.system.fuzz coverage`.

It needs `atheris`, which `make fuzz` installs. Its process ends with the run, so it is a separate
process.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

from tests.system.fuzz.payloads import JUNK, SEEDS


def run(seconds: int) -> None:
    """Fuzz for a while; the process ends with status 0 if nothing was found."""
    with atheris.instrument_imports(
        include=["workkit.core.job", "workkit.core.gojson", "workkit.store.keys"]
    ):
        from tests.system.fuzz.codec import examine

    corpus = Path(tempfile.mkdtemp(prefix="workkit-fuzz-"))
    for at, seed in enumerate((*SEEDS, *JUNK)):
        (corpus / str(at)).write_bytes(seed)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            "-max_len=4096",
            "-print_final_stats=1",
            str(corpus),
        ],
        examine,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    run(int(sys.argv[1]))
