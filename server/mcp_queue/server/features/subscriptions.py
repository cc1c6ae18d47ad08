"""Subscriptions, by two doors: ``resources/subscribe`` of the handshake era, and the stream of
``subscriptions/listen`` of 2026-07-28, which also carries list changes and tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import anyio
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import (
    EmptyResult,
    Notification,
    NotificationParams,
    ResourceListChangedNotification,
    ResourceUpdatedNotification,
    ResourceUpdatedNotificationParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenResult,
)

from mcp_queue.server.authored.uri_templates import match
from mcp_queue.server.features.tasks import detailed, find
from mcp_queue.server.features.uris import parse
from mcp_queue.server.following import hub
from mcp_queue.server.following.hub import EVERY_JOB, THE_SET, ran
from mcp_queue.server.following.log_growth import log_of
from mcp_queue.server.protocol.bounds import MOST
from mcp_queue.server.protocol.eras import (
    connection_of,
    declares_tasks,
    invalid_params,
    no_such_resource,
    tasks_required,
)

if TYPE_CHECKING:
    from mcp.server.session import ServerSession
    from mcp.shared.exceptions import MCPError
    from mcp_types import (
        ServerNotification,
        SubscribeRequestParams,
        SubscriptionsListenRequestParams,
        UnsubscribeRequestParams,
    )

    from mcp_queue.server.following.hub import Hub
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.state import State


PUMPS = "mcp_queue_pumps"  # the key of a connection's state


class TaskNotification(Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """A task that changed, whole (SEP-2663)."""

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


@dataclass(frozen=True)
class Subscription:
    """What one ``subscriptions/listen`` asked for and gets."""

    tools: bool
    resources: bool
    uris: dict[str, set[str]]
    """URIs and what they wait for; nothing for a resource that does not change."""
    task_ids: list[str] | None

    def interests(self) -> set[str]:
        """What a listener for all of it waits for."""
        wanted = {interest for interests in self.uris.values() for interest in interests}
        return wanted | set(self.task_ids or ()) | ({THE_SET} if self.resources else set())

    def acknowledged(self) -> SubscriptionFilter:
        """The filter as the client is told that it is honoured."""
        extra = {} if self.task_ids is None else {"taskIds": self.task_ids}
        return SubscriptionFilter(
            tools_list_changed=self.tools or None,
            resources_list_changed=self.resources or None,
            resource_subscriptions=list(self.uris) or None,
            **cast("Any", extra),
        )


class Subscriptions:
    """The handlers of both doors, for all connections."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Send ``notifications/resources/updated`` for the URI from now on."""
        uri = str(params.uri)
        interests = self._interests_of(uri)
        address = parse(uri)
        if interests is None or (
            address is not None and address.job_id and not await self._knows(address.job_id)
        ):
            raise no_such_resource(context, uri)
        pumps = _pumps(context)
        if interests and uri not in pumps:
            if len(pumps) >= MOST or not self._state.hub.takes(len(interests)):
                raise _no_room()
            pump = pumps[uri] = _Pump(uri, interests)
            self._state.hub.start_soon(pump.run, self._state.hub, context.session)
        if uri in pumps:
            await pumps[uri].listening.wait()
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """Send no more of them; a URI that was not subscribed to is no error."""
        pump = _pumps(context).pop(str(params.uri), None)
        if pump is not None:
            pump.scope.cancel()
        return EmptyResult()

    async def listen(
        self, context: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Acknowledge, then send what changes until the client cancels it or the server ends."""
        subscription = await self._honoured(context, params.notifications)
        if not self._state.hub.takes(len(subscription.interests())):
            raise _no_room()
        stream = _Stream(context, self._state, subscription)
        async with self._state.hub.listener(subscription.interests()) as listener:
            await stream.acknowledge()
            await stream.send_tasks(set(subscription.task_ids or ()))
            while (changed := await listener.changes()) is not None:
                await stream.send_changes(changed)
        return SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: context.request_id})

    async def _honoured(self, context: Context, asked: SubscriptionFilter) -> Subscription:
        task_ids = (asked.model_extra or {}).get("taskIds")
        if task_ids is not None:
            task_ids = await self._known_tasks(context, task_ids)
        uris = {uri: self._interests_of(uri) for uri in asked.resource_subscriptions or ()}
        return Subscription(
            tools=bool(asked.tools_list_changed),
            resources=bool(asked.resources_list_changed),
            uris={uri: interests for uri, interests in uris.items() if interests is not None},
            task_ids=task_ids,
        )

    def _interests_of(self, uri: str) -> set[str] | None:
        """What a subscription waits for, which may be nothing; None for no resource of ours."""
        if (found := match(self._state.catalog, uri)) is not None:
            return {ran(command) for command in found[0].updated_by}
        address = parse(uri)
        if address is None:
            return None
        if address.kind == "commands":
            return set()
        if address.part.startswith("logs"):
            return {log_of(address.job_id)}
        return {address.job_id or EVERY_JOB}

    async def _known_tasks(self, context: Context, task_ids: object) -> list[str]:
        if not declares_tasks(context):
            raise tasks_required()
        given = cast("list[object]", task_ids) if isinstance(task_ids, list) else [None]
        if not all(isinstance(task_id, str) for task_id in given):
            raise invalid_params("taskIds is a list of task ids")
        return [id_ for id_ in dict.fromkeys(cast("list[str]", given)) if await self._knows(id_)]

    async def _knows(self, job_id: str) -> bool:
        return await find(self._state.queue, job_id) is not None


class _Pump:
    """Sends the changes of one URI until its scope is cancelled; of the handshake era."""

    def __init__(self, uri: str, interests: set[str]) -> None:
        self._uri, self._interests = uri, interests
        self.scope = anyio.CancelScope()
        self.listening = anyio.Event()

    async def run(self, hub: Hub, session: ServerSession) -> None:
        """Set ``listening`` when no change is missed any more, or when it is over."""
        try:
            with self.scope:
                async with hub.listener(self._interests) as listener:
                    self.listening.set()
                    while await listener.changes() is not None:
                        await session.send_resource_updated(self._uri)
        finally:
            self.listening.set()


class _Stream:
    """The notifications of one ``subscriptions/listen``, each with its subscription id."""

    def __init__(self, context: Context, state: State, subscription: Subscription) -> None:
        self._context = context
        self._state = state
        self._subscription = subscription
        self._ended: set[str] = set()
        self._meta: Any = {SUBSCRIPTION_ID_META_KEY: context.request_id}

    async def acknowledge(self) -> None:
        """Say what is honoured; the first message of the stream."""
        honoured = self._subscription.acknowledged()
        await self._send(
            SubscriptionsAcknowledgedNotification(
                params=SubscriptionsAcknowledgedNotificationParams(
                    notifications=honoured, _meta=self._meta
                )
            )
        )

    async def send_changes(self, changed: set[str]) -> None:
        """Tell of all that changed."""
        if THE_SET in changed:
            params = NotificationParams(_meta=self._meta)
            await self._send(ResourceListChangedNotification(params=params))
        for uri, interests in self._subscription.uris.items():
            if interests & changed:
                updated = ResourceUpdatedNotificationParams(uri=uri, _meta=self._meta)
                await self._send(ResourceUpdatedNotification(params=updated))
        await self.send_tasks(changed.intersection(self._subscription.task_ids or ()))

    async def send_tasks(self, task_ids: set[str]) -> None:
        """Send each task as it is now; no more of one that has ended, should it be deleted."""
        for task_id in task_ids - self._ended:
            record = await find(self._state.queue, task_id)
            if record is None or record.terminal:
                self._state.tasks.discard(task_id)
            if record is None:
                continue
            if record.terminal:
                self._ended.add(task_id)
            view = await detailed(self._context, self._state.queue, record)
            await self._send(TaskNotification(params={"_meta": self._meta, **view}))

    async def _send(self, notification: Notification[Any, Any]) -> None:
        await self._context.session.send_notification(
            cast("ServerNotification", notification), related_request_id=self._context.request_id
        )


def _no_room() -> MCPError:
    return invalid_params(
        f"No room for this subscription: a client has {MOST:,} at most, all of a server together "
        f"{hub.MOST:,}. End some, or subscribe to queue://jobs, which stands for all jobs"
    )


def _pumps(context: Context) -> dict[str, _Pump]:
    """The handshake-era subscriptions of the client, by URI; they end with its connection."""
    connection = connection_of(context)
    pumps: dict[str, _Pump] | None = connection.state.get(PUMPS)
    if pumps is None:
        pumps = connection.state[PUMPS] = {}
        connection.exit_stack.callback(_end, pumps)
    return pumps


def _end(pumps: dict[str, _Pump]) -> None:
    for pump in pumps.values():
        pump.scope.cancel()
