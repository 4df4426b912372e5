"""What the runtime decides before it edits anything. Containers are started in tests/real."""

import pytest

from gpudock.errors import HostError
from gpudock.plan.document import Plan
from gpudock.plan.request import Request
from gpudock.start import current, renew, runtime, settings
from gpudock.start.asked import Asked
from unit.plan.plans import gpu, plan_with

VIDEO = Asked(Request("all", ("compute", "video")), {})


@pytest.mark.parametrize("sets", [1, runtime._SETS - 1, runtime._SETS])
def test_images_have_only_so_many_capability_sets_prepared(monkeypatch: pytest.MonkeyPatch, sets: int) -> None:
    """Each makes the plan longer, for every start and for ever; an image names its set itself."""
    plan, asked = plan_with(gpu(0)), []
    (variant,) = plan["variants"].values()
    plan["variants"] = {f"set{number}": variant for number in range(sets)}

    def refresh(_: object, *options: str, because: HostError) -> None:
        asked.append((*options, because.mend))
        plan["variants"]["compute.video"] = variant

    def found(_: object) -> Plan:
        return plan

    monkeypatch.setattr(current, "plan", found)
    monkeypatch.setattr(renew, "may_refresh", lambda _: True)
    monkeypatch.setattr(renew, "refresh", refresh)
    by_hand = "sudo gpudock refresh --capabilities compute,video"
    if sets < runtime._SETS:
        assert runtime._choose(settings.DEFAULT, VIDEO)[1] is variant
        assert asked == [("--capabilities", "compute,video", by_hand)]
    else:
        with pytest.raises(HostError, match="16 sets already") as refused:
            runtime._choose(settings.DEFAULT, VIDEO)
        assert (refused.value.mend, asked) == (by_hand, [])
