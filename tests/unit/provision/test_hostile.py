"""Snapshots that a stranger wrote: whatever they claim, the doctor answers, and a terminal is safe."""

import json
import random
from typing import Any

from gpudock.cli.terminal import safe
from gpudock.errors import InputError
from gpudock.host import codec
from gpudock.provision import doctor, report
from gpudock.provision.bundle import redacted
from unit.provision import hosts

MUTATIONS = 600
STRANGE: dict[type, list[Any]] = {
    str: ["", "9" * 200, "$(reboot)", "/dev/null", "1.2.3", "28.5.2", "nvidia", "deb", "deb [signed-by=]", "a b c: d"],
    int: [0, 1, 3, 255, 1 << 40],
    bool: [True, False],
    list: [[]],
    dict: [{}, {"is": "missing", "reason": ""}],
}


def mutated(document: Any, chance: random.Random) -> bytes:
    """One value or more replaced by one of another kind."""
    for _ in range(chance.randint(1, 4)):
        part: Any = document
        while True:
            key = chance.choice(list(part) if isinstance(part, dict) else range(len(part)))
            if not isinstance(part[key], dict | list) or not part[key] or chance.random() < 0.1:
                break
            part = part[key]
        part[key] = chance.choice(STRANGE.get(type(part[key]), [None]))
        if not isinstance(document, dict) or not document:
            break
    return json.dumps(document).encode()


def test_whatever_a_snapshot_claims() -> None:
    chance = random.Random(20261130)
    cases = [case["set"] for each in hosts.cases().values() for case in each["wrong"]]
    read = 0
    for _ in range(MUTATIONS):
        data = mutated(hosts.document(chance.choice(cases)), chance)
        try:
            machine = codec.decode(data)
        except InputError:
            continue
        read += 1
        seen = doctor.findings(machine)
        text = (
            report.text(seen, verbose=True) + report.images(machine.images) + report.offers(doctor.mends(machine, seen))
        )
        assert safe(text).replace("\n", "").isprintable()
        assert json.dumps(report.plain(seen, machine))
        assert codec.decode(codec.encode(redacted(machine, "vm")))
    assert read > MUTATIONS // 10
