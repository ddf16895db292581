# SPDX-License-Identifier: LGPL-2.1-or-later
"""The operations of tests/sim/agreement.ops, which the simulated host must answer like these kernels."""

import pathlib

from host import Failure
from scenarios import ALL, scenario
from vm import agreement_topology

LIST = pathlib.Path(__file__).resolve().parent.parent / "sim" / "agreement.ops"


@scenario("agreement of the simulated host with a kernel", "agreement", ALL, topology=agreement_topology)
def agreement(host):
    host.sh("systemctl stop vfiod")
    host.write("/run/agreement.ops", LIST.read_text(encoding="utf-8"))
    result = host.sh("agree /run/agreement.ops", None, seconds=240)
    lines = result.out.splitlines()
    if result.status != 0:
        raise Failure("\n".join([line for line in lines if "DIFFERS" in line] + lines[-1:]) + result.err)
    print(f"# {lines[-1]}", flush=True)
