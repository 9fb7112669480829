"""`parley webhooks`: who is notified of what happens."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from parley.gateway_client.answers import GatewayError, Json
from parley.gateway_client.command import ApiKey, Tenant, Url, with_gateway
from parley.gateway_client.gateway import Gateway
from parley.terminal.console import console
from parley.terminal.escaping import printable
from parley.terminal.listing import IsJson, show, table_with

webhooks_app = typer.Typer(help="Where events are sent.", no_args_is_help=True)

WebhookId = Annotated[str, typer.Argument(help="The webhook; see `parley webhooks list`.")]


@webhooks_app.command("add")
def add_webhook(
    where: Annotated[str, typer.Argument(metavar="URL", help="Where to send events.")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="A type of event, such as task.ended; repeat it. Default: all."),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """Add a webhook, and print its secret: it is shown this once."""
    body = {"url": where, "eventTypes": event or [], "description": description}

    async def add(gateway: Gateway) -> None:
        _show_secret(await gateway.add_webhook(body))

    with_gateway(url, api_key, add, tenant_id=tenant)


@webhooks_app.command("list")
def list_webhooks(
    is_json: IsJson = False, url: Url = None, api_key: ApiKey = None, tenant: Tenant = None
) -> None:
    """List webhooks."""

    async def show_webhooks(gateway: Gateway) -> None:
        show(await gateway.list_webhooks(), table_of, is_json=is_json)

    with_gateway(url, api_key, show_webhooks, tenant_id=tenant)


@webhooks_app.command("remove")
def remove_webhook(
    webhook_id: WebhookId, url: Url = None, api_key: ApiKey = None, tenant: Tenant = None
) -> None:
    """Remove a webhook, with every event that was still to be delivered to it."""

    async def remove(gateway: Gateway) -> None:
        await gateway.remove_webhook(webhook_id)
        console.print(f"{webhook_id} removed")

    with_gateway(url, api_key, remove, tenant_id=tenant)


@webhooks_app.command("rotate-key")
def rotate_key(
    webhook_id: WebhookId,
    overlap: Annotated[
        int, typer.Option(help="Seconds for which the former secrets sign as well.")
    ] = 86_400,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """Give a webhook another secret, and print it: it is shown this once."""

    async def rotate(gateway: Gateway) -> None:
        _show_secret(await gateway.rotate_webhook_key(webhook_id, overlap_s=overlap))

    with_gateway(url, api_key, rotate, tenant_id=tenant)


@webhooks_app.command("test")
def try_webhook(
    webhook_id: WebhookId, url: Url = None, api_key: ApiKey = None, tenant: Tenant = None
) -> None:
    """Send a webhook an event of type webhook.test, and say what became of it."""

    async def test(gateway: Gateway) -> None:
        tried = await gateway.try_webhook(webhook_id)
        if not tried["delivered"]:
            raise GatewayError(f"Not delivered: {tried['failure']}.")
        console.print("Delivered.")

    with_gateway(url, api_key, test, tenant_id=tenant)


@webhooks_app.command("dead-letters")
def list_dead_letters(
    webhook_id: WebhookId,
    is_replayed: Annotated[
        bool, typer.Option("--replay", help="Have them delivered anew instead.")
    ] = False,
    event_id: Annotated[
        list[str] | None, typer.Option("--event-id", help="Replay only this one; repeat it.")
    ] = None,
    is_json: IsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    tenant: Tenant = None,
) -> None:
    """List the events that could not be delivered to a webhook for a day, or replay them."""

    async def work(gateway: Gateway) -> None:
        if is_replayed:
            replayed = await gateway.replay_dead_letters(webhook_id, event_id or [])
            console.print(f"{replayed} to be delivered anew")
        else:
            show(await gateway.dead_letters(webhook_id), letters_of, is_json=is_json)

    if event_id and not is_replayed:
        raise typer.BadParameter("--event-id goes with --replay")
    with_gateway(url, api_key, work, tenant_id=tenant)


def table_of(webhooks: Sequence[Json]) -> Table:
    """Return webhooks as a table."""
    table = table_with("Webhook", "URL", "Events", "For")
    for each in webhooks:
        events = ", ".join(each["eventTypes"]) or "all"
        shown = map(printable, (each["url"], events, each.get("description", "")))
        table.add_row(each["webhookId"], *shown)
    return table


def letters_of(letters: Sequence[Json]) -> Table:
    """Return dead letters as a table."""
    table = table_with("Event", "Type", "Task", "When", "Attempts", "Why")
    for each in letters:
        table.add_row(
            each["eventId"],
            each["eventType"],
            each.get("taskId", ""),
            each["eventTime"],
            str(each["attempts"]),
            printable(each["failure"]),
        )
    return table


def _show_secret(answer: Json) -> None:
    console.print(f"Webhook: {answer['webhook']['webhookId']}")
    console.print(f"Secret:  {answer['secret']}", highlight=False)
