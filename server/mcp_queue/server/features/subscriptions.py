"""Subscriptions: ``resources/subscribe`` of the handshake era, and the stream of
``subscriptions/listen`` of 2026-07-28, which also sends list changes and tasks.
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
from mcp_queue.server.following.log_growth import log_of
from mcp_queue.server.following.notifier import ANY_JOB, JOB_LIST, MAX_INTERESTS, command_ran
from mcp_queue.server.protocol.bounds import MAX_SUBSCRIBED
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

    from mcp_queue.server.following.notifier import Notifier
    from mcp_queue.server.protocol.eras import Context
    from mcp_queue.server.services import Services


SUBSCRIPTIONS = "mcp_queue_subscriptions"  # a key in the state of a connection


class TaskNotification(Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """A task that changed, with all its fields (SEP-2663)."""

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


@dataclass(frozen=True)
class Subscription:
    """The accepted parts of one ``subscriptions/listen`` request."""

    tools: bool
    resources: bool
    uris: dict[str, set[str]]
    """URIs and their interests; none for a resource that does not change."""
    task_ids: list[str] | None

    def interests(self) -> set[str]:
        """The interests of a follower for the whole subscription."""
        wanted = {interest for interests in self.uris.values() for interest in interests}
        return wanted | set(self.task_ids or ()) | ({JOB_LIST} if self.resources else set())

    def acknowledged(self) -> SubscriptionFilter:
        """The accepted filter, for the acknowledgement."""
        extra = {} if self.task_ids is None else {"taskIds": self.task_ids}
        return SubscriptionFilter(
            tools_list_changed=self.tools or None,
            resources_list_changed=self.resources or None,
            resource_subscriptions=list(self.uris) or None,
            **cast("Any", extra),
        )


class Subscriptions:
    """The handlers of both kinds of subscriptions, for all connections."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Send ``notifications/resources/updated`` for the URI from now on."""
        uri = str(params.uri)
        interests = self._interests_of(uri)
        queue_uri = parse(uri)
        if interests is None or (
            queue_uri is not None and queue_uri.job_id and not await self._exists(queue_uri.job_id)
        ):
            raise no_such_resource(context, uri)
        notifier, subscriptions = self._services.notifier, _subscriptions_of(context)
        if interests and uri not in subscriptions:
            if len(subscriptions) >= MAX_SUBSCRIBED or not notifier.has_room_for(len(interests)):
                raise _no_room()
            subscription = subscriptions[uri] = _UriSubscription(uri, interests)
            notifier.start_soon(subscription.run, notifier, context.session)
        if uri in subscriptions:
            await subscriptions[uri].active.wait()
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """End a subscription; a URI that was not subscribed to is no error."""
        subscription = _subscriptions_of(context).pop(str(params.uri), None)
        if subscription is not None:
            subscription.scope.cancel()
        return EmptyResult()

    async def listen(
        self, context: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Acknowledge, then send changes until the client cancels it or the server ends."""
        subscription = await self._accepted(context, params.notifications)
        if not self._services.notifier.has_room_for(len(subscription.interests())):
            raise _no_room()
        stream = _Stream(context, self._services, subscription)
        async with self._services.notifier.follow(subscription.interests()) as follower:
            await stream.acknowledge()
            await stream.send_tasks(set(subscription.task_ids or ()))
            while (changed := await follower.changes()) is not None:
                await stream.send_changes(changed)
        return SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: context.request_id})

    async def _accepted(self, context: Context, wanted: SubscriptionFilter) -> Subscription:
        task_ids = (wanted.model_extra or {}).get("taskIds")
        if task_ids is not None:
            task_ids = await self._existing_tasks(context, task_ids)
        uris = {uri: self._interests_of(uri) for uri in wanted.resource_subscriptions or ()}
        return Subscription(
            tools=bool(wanted.tools_list_changed),
            resources=bool(wanted.resources_list_changed),
            uris={uri: interests for uri, interests in uris.items() if interests is not None},
            task_ids=task_ids,
        )

    def _interests_of(self, uri: str) -> set[str] | None:
        """The interests of a subscription, possibly none; None if the URI is no resource."""
        if (found := match(self._services.catalog, uri)) is not None:
            return {command_ran(command) for command in found[0].updated_by}
        queue_uri = parse(uri)
        if queue_uri is None:
            return None
        if queue_uri.kind == "commands":
            return set()
        if queue_uri.part.startswith("logs"):
            return {log_of(queue_uri.job_id)}
        return {queue_uri.job_id or ANY_JOB}

    async def _existing_tasks(self, context: Context, task_ids: object) -> list[str]:
        if not declares_tasks(context):
            raise tasks_required()
        ids = cast("list[object]", task_ids) if isinstance(task_ids, list) else [None]
        if not all(isinstance(task_id, str) for task_id in ids):
            raise invalid_params("taskIds is a list of task ids")
        return [id_ for id_ in dict.fromkeys(cast("list[str]", ids)) if await self._exists(id_)]

    async def _exists(self, job_id: str) -> bool:
        return await find(self._services.queue, job_id) is not None


class _UriSubscription:
    """Sends the changes of one URI, in the handshake era, until its scope is cancelled."""

    def __init__(self, uri: str, interests: set[str]) -> None:
        self._uri, self._interests = uri, interests
        self.scope = anyio.CancelScope()
        self.active = anyio.Event()
        """Set when no further change can be missed, or when the subscription has ended."""

    async def run(self, notifier: Notifier, session: ServerSession) -> None:
        """Send the changes."""
        try:
            with self.scope:
                async with notifier.follow(self._interests) as follower:
                    self.active.set()
                    while await follower.changes() is not None:
                        await session.send_resource_updated(self._uri)
        finally:
            self.active.set()


class _Stream:
    """The notifications of one ``subscriptions/listen``, each with its subscription id."""

    def __init__(self, context: Context, services: Services, subscription: Subscription) -> None:
        self._context = context
        self._services = services
        self._subscription = subscription
        self._ended: set[str] = set()
        self._meta: Any = {SUBSCRIPTION_ID_META_KEY: context.request_id}

    async def acknowledge(self) -> None:
        """Send the accepted filter, the first message of the stream."""
        accepted = self._subscription.acknowledged()
        await self._send(
            SubscriptionsAcknowledgedNotification(
                params=SubscriptionsAcknowledgedNotificationParams(
                    notifications=accepted, _meta=self._meta
                )
            )
        )

    async def send_changes(self, changed: set[str]) -> None:
        """Send a notification for each change."""
        if JOB_LIST in changed:
            params = NotificationParams(_meta=self._meta)
            await self._send(ResourceListChangedNotification(params=params))
        for uri, interests in self._subscription.uris.items():
            if interests & changed:
                updated = ResourceUpdatedNotificationParams(uri=uri, _meta=self._meta)
                await self._send(ResourceUpdatedNotification(params=updated))
        await self.send_tasks(changed.intersection(self._subscription.task_ids or ()))

    async def send_tasks(self, task_ids: set[str]) -> None:
        """Send the current state of each task; nothing more after its end, not even a deletion."""
        for task_id in task_ids - self._ended:
            record = await find(self._services.queue, task_id)
            if record is None or record.terminal:
                self._services.tasks.discard(task_id)
            if record is None:
                continue
            if record.terminal:
                self._ended.add(task_id)
            view = await detailed(self._context, self._services.queue, record)
            await self._send(TaskNotification(params={"_meta": self._meta, **view}))

    async def _send(self, notification: Notification[Any, Any]) -> None:
        await self._context.session.send_notification(
            cast("ServerNotification", notification), related_request_id=self._context.request_id
        )


def _no_room() -> MCPError:
    return invalid_params(
        f"No room for this subscription: a client has {MAX_SUBSCRIBED:,} at most, all of a server "
        f"together {MAX_INTERESTS:,}. End some, or subscribe to queue://jobs, which stands for all "
        "jobs"
    )


def _subscriptions_of(context: Context) -> dict[str, _UriSubscription]:
    """The client's handshake-era subscriptions, by URI; they end with its connection."""
    connection = connection_of(context)
    subscriptions: dict[str, _UriSubscription] | None = connection.state.get(SUBSCRIPTIONS)
    if subscriptions is None:
        subscriptions = connection.state[SUBSCRIPTIONS] = {}
        connection.exit_stack.callback(_end_all, subscriptions)
    return subscriptions


def _end_all(subscriptions: dict[str, _UriSubscription]) -> None:
    for subscription in subscriptions.values():
        subscription.scope.cancel()
