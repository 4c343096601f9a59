"""What each adapter runs as its program: the request on the command line → the answer as the last line.

Standard library only, as all that it imports: peers answer in virtual environments of their own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from dataclasses import asdict

from benchmarks.adapter import AbsentError, Answer, Make, Request
from benchmarks.figures import FIGURES


def main(make: Make) -> None:
    """Answer the request on the command line, and end at once even where the system's worker would linger."""
    request = Request(**json.loads(sys.argv[1]))
    try:
        answer = FIGURES[request.figure](make, request)
    except AbsentError as error:
        answer = Answer(tasks=0, seconds=0.0, absent=str(error))
    print("\n" + json.dumps(asdict(answer)), flush=True)
    for second in multiprocessing.active_children():
        second.kill()
    os._exit(0)
