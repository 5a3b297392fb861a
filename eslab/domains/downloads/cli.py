"""The commands of `eslab downloads`: find licences that were never delivered, and sign them or take them back."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from eslab.clock import system_clock
from eslab.display import quantity
from eslab.domains.downloads.delivery import Undelivered, find_undelivered
from eslab.domains.downloads.drm import LocalSigner
from eslab.domains.downloads.keys import load_keys
from eslab.domains.downloads.service import DownloadService
from eslab.errors import HistoryGone, InvalidInput, Unreadable
from eslab.repository import Repository
from eslab.stores import existing, open_store
from eslab.terminal import say

app = typer.Typer(no_args_is_help=True)

Store = Annotated[str, typer.Option(help="Store URL.")]
Customer = Annotated[str, typer.Option(help="The customer's id.")]
Licence = Annotated[UUID, typer.Option(help="The licence, as `eslab downloads undelivered` shows it.")]


@app.command()
def undelivered(
    store: Store,
    customer: Annotated[str, typer.Option(help="The customer's id; default: all customers, one after the other.")] = "",
    minutes: Annotated[int, typer.Option(min=0, help="Only those requested at least this many minutes ago.")] = 10,
) -> None:
    """List active licences of which no token went out; exit code 1 if a customer can't be read."""
    number = 0
    left_out = 0
    with closing(open_store(existing(store))) as opened:
        repository = Repository(opened, system_clock)
        before = system_clock() - timedelta(minutes=minutes)
        for name in [customer] if customer else opened.customers():
            try:
                grants = find_undelivered(repository, name, before)
            except (Unreadable, HistoryGone) as error:
                say(f"Left out customer {name!r}: {error}", err=True)
                left_out += 1
                continue
            number += len(grants)
            for grant in grants:
                say(str(grant))
    say(_summary(number, left_out), err=True)
    raise typer.Exit(1 if left_out else 0)


@app.command()
def deliver(
    store: Store,
    customer: Customer,
    licence: Licence,
    keys: Annotated[Path, typer.Option(help="The PEM file of the DRM server's keys.", exists=True)],
) -> None:
    """Sign an undelivered licence, record that it was delivered, and print the token."""
    with _service(store, keys) as service:
        grant = _find(service, customer, licence)
        answer = service.deliver(customer, grant.device, grant.title, licence)
    if not answer.token:
        raise InvalidInput(f"Expected an active licence to sign, got no token: {answer.unsigned}.")
    say(answer.token)


@app.command("take-back")
def take_back(store: Store, customer: Customer, licence: Licence) -> None:
    """Take back an undelivered download or renewal: it frees its place and no longer counts."""
    with _service(store) as service:
        grant = _find(service, customer, licence)
        service.take_back(customer, grant)
    say(f"Taken back: {grant}")


@contextmanager
def _service(store: str, keys: Path | None = None) -> Iterator[DownloadService]:
    signer = LocalSigner(load_keys(keys)) if keys else None
    with closing(open_store(existing(store))) as opened:
        yield DownloadService(opened, system_clock, drm=signer)


def _find(service: DownloadService, customer: str, licence: UUID) -> Undelivered:
    """The undelivered grant of a licence; only such a one is signed or taken back here."""
    for grant in find_undelivered(service.repository, customer):
        if grant.license_id == licence:
            return grant
    raise InvalidInput(
        f"Expected an undelivered licence of customer {customer!r}, got {licence}. "
        "List them with `eslab downloads undelivered`.",
        customer_id=customer,
    )


def _summary(number: int, left_out: int) -> str:
    incomplete = (
        f" Incomplete: {quantity(left_out, 'customer')} can't be read; see `eslab inspect`." if left_out else ""
    )
    if not number:
        return f"No undelivered licences.{incomplete}"
    advice = "Sign one with `eslab downloads deliver`, or take it back with `eslab downloads take-back`."
    return f"{number} undelivered. {advice}{incomplete}"
