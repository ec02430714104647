"""``mp auth test``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mixpanel_fetch.cli.completion.types import ACCOUNT
from mixpanel_fetch.cli.output import Output, format_option

if TYPE_CHECKING:
    from mixpanel_fetch.diagnosis import Access

_PATIENCE = 60.0  # seconds for an answer


@click.command()
@click.argument("name", type=ACCOUNT, required=False)
@format_option
@click.pass_obj
def test(output: Output, /, name: str | None, form: str | None) -> None:
    """See whether account NAME reaches its project.

    Without NAME: whatever a fetch would use without --account. Says what is wrong: the region, the
    project, the secret, the plan, the network, the clock.

    Costs one of the sixty queries that Mixpanel counts in an hour; a refusal costs none. Where the
    region refuses, or has no profiles, the other two are asked as well.
    """
    from mixpanel_fetch.config import load_settings
    from mixpanel_fetch.diagnosis import examine

    output.form = form or output.form
    settings = load_settings(name)
    for warning in settings.warnings:
        output.note(f"mp: warning: {warning}")
    access = examine(settings, read_timeout=_PATIENCE)
    for warning in access.warnings:
        output.note(f"mp: warning: {warning}")
    counts = settings.selection is not None and not settings.selection.ousted
    account = settings.selection.name if settings.selection and counts else None
    if output.form == "json":
        output.document({"account": account, **asdict(access)})
        return
    where = f"in {access.region}" if settings.api_base_url is None else f"at {access.host}"
    output.text(_line(account, access, where))


def _line(account: str | None, access: Access, where: str) -> str:
    who = f"account {account} reaches" if account else "the settings reach"
    project = f"project {access.project_id}" if access.project_id else "the project of its secret"
    left = access.queries_left
    rest = "" if left is None else f"; {left:,} counted queries left this hour"
    return f"ok: {who} {project} {where}: {access.profiles:,} profiles{rest}"
