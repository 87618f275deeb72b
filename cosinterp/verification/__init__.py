"""Proving that a model is understood: what is captured is what it computes, and capturing changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cosinterp.denoising import ClockError
from cosinterp.errors import UserError
from cosinterp.models.model import Model
from cosinterp.models.probe import probe_sample
from cosinterp.samples import Sample
from cosinterp.verification.check import Check
from cosinterp.verification.comparing import (
    CALLS,
    check_branches,
    check_captured,
    check_clean_estimate,
    check_decoded,
    check_places,
    check_residual,
    check_schedule,
    check_tokens,
    check_video,
    first_streams,
)
from cosinterp.verification.generating import (
    NO_GUIDANCE,
    Case,
    Generation,
    cases_of,
    generate,
    identity_call,
    plain_call,
    traced_call_of,
)
from cosinterp.verification.replaying import check_replay

__all__ = ["Check", "verify"]


def verify(
    model: Model,
    sample: Sample | None = None,
    *,
    seed: int = 0,
    on_check: Callable[[Check], None] | None = None,
    **sampling: Any,
) -> list[Check]:
    """Check a model on short, small generations; a few seconds for a small model.

    All is checked with guidance on; calls and captured tensors also without guidance, and for two videos in
    one batch.

    Args:
        sample: what to generate from; default: a made-up prompt, and an image if the model takes one, at
            the smallest size that has several tokens along each axis.
        seed: of the noise.
        on_check: called with each check as soon as it is done.
        **sampling: settings of the pipeline's call; default: 4 steps, with guidance.

    Returns:
        The checks, in order; all have to pass.

    Raises:
        UserError: the sample or a setting does not fit the model.
    """
    probe = sample or probe_sample(model)
    checks: list[Check] = []

    def done(check: Check) -> None:
        checks.append(check)
        if on_check is not None:
            on_check(check)

    def plainly(case: Case) -> Generation | None:
        """By the plain pipeline; None where it fails, which is told."""
        try:
            return generate(model, probe, case, plain_call)
        except UserError:
            raise
        except ClockError as error:
            detail = str(error)
        # Whatever the pipeline says: it is that which does not take this case.
        except Exception as error:  # noqa: BLE001
            detail = f"the pipeline itself fails: {type(error).__name__}: {error}"
        done(Check("calls" + case.suffix, False, CALLS, detail=detail))
        return None

    main, *others = cases_of(model, probe, seed, sampling)
    plain = plainly(main)
    if plain is None:
        return checks
    done(check_schedule(model, plain, main))
    done(check_clean_estimate(plain))
    done(check_tokens(model, plain, main))
    done(check_places(model, probe, [main, *others]))
    done(check_decoded(model, plain, main))
    traced = generate(model, probe, main, traced_call_of)
    done(check_video(plain, traced, "traced video", "video of the traced and of the plain pipeline"))
    done(check_captured(plain, traced, main))
    if any(stack.sublayers for stack in model.anatomy.stacks):
        done(check_residual(model, plain, traced))
    patched = generate(model, probe, main, identity_call)
    done(
        check_video(
            plain, patched, "identity patch", "video with each block's output replaced by itself, and without"
        )
    )
    for check in check_replay(model, probe, plain, main):
        done(check)
    guided = first_streams(model, plain)
    del plain, traced, patched
    for case in others:
        plain = plainly(case)
        if plain is None:
            continue
        done(check_schedule(model, plain, case))
        if case.suffix == NO_GUIDANCE:
            done(check_branches(model, guided, plain, case))
        done(check_captured(plain, generate(model, probe, case, traced_call_of), case))
    return checks
