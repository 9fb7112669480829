"""The replicas of another service: a channel to each, and which of them holds a key."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import grpc

from services.runtime.channels.channel import Balancing, open_channel
from services.runtime.channels.rendezvous import ranked
from services.runtime.channels.resolution import Lookup, Resolution, look_up
from services.runtime.security.tls import PeerTls

S = TypeVar("S")

RESOLVED_EVERY_S = 5.0
"""How often names are resolved again."""

GUESTS = 64
"""Channels to addresses that only an answer has named, such as a replica that was just started."""

LAST_CALLS_S = 3600.0
"""How long calls may still take at a replica that is not listed any more."""

_CONNECTED = grpc.ChannelConnectivity.READY
_FAILING = grpc.ChannelConnectivity.TRANSIENT_FAILURE


class Replicas(Generic[S]):
    """Gives stubs; with one replica they are all the same."""

    def __init__(
        self,
        resolution: Resolution,
        make_stub: Callable[[grpc.aio.Channel], S],
        *,
        tls: PeerTls | None = None,
    ) -> None:
        self._resolution = resolution
        self._tls = tls
        self._make_stub = make_stub
        self._links: dict[str, _Link[S]] = {}
        self._guests: OrderedDict[str, _Link[S]] = OrderedDict()
        self._retired: dict[asyncio.Task[None], _Link[S]] = {}
        self._all = self._link_to_all()

    @property
    def any(self) -> S:
        """A stub whose calls go to those replicas that answer, in turn."""
        return self._all.stub

    @property
    def channels(self) -> Sequence[grpc.aio.Channel]:
        """A channel to each replica."""
        return [self._listed(address).channel for address in self._resolution.addresses]

    def for_key(self, key: str) -> S:
        """Return a stub of the replica that a key belongs to; of the next one if that is gone."""
        return self.at(self.ranking(key)[0])

    def ranking(self, key: str) -> Sequence[str]:
        """Return all addresses as they come into question for a key, those that are gone last."""
        addresses = ranked(self._resolution.addresses, key)
        return sorted(addresses, key=lambda address: self._listed(address).is_failing)

    def at(self, address: str) -> S:
        """Return a stub of the replica at an address, which need not be listed."""
        if address in self._resolution.addresses:
            return self._listed(address).stub
        if address not in self._guests:
            self._guests[address] = self._link(address)
        self._guests.move_to_end(address)
        if len(self._guests) > GUESTS:
            self._retire(self._guests.popitem(last=False)[1])
        return self._guests[address].stub

    async def follow(self, every_s: float) -> None:
        """Keep up with the replicas that there are, until cancelled."""
        while not self._resolution.is_fixed:
            await asyncio.sleep(every_s)
            await self._resolution.refresh()
            self._keep_up()

    async def close(self) -> None:
        """End all calls."""
        retired = dict(self._retired)
        for task in retired:
            task.cancel()
        await asyncio.gather(*retired, return_exceptions=True)
        links = (self._all, *self._links.values(), *self._guests.values(), *retired.values())
        await asyncio.gather(*(link.close() for link in links))

    def _keep_up(self) -> None:
        for address in self._links.keys() - set(self._resolution.addresses):
            self._retire(self._links.pop(address))
        if self._all.target != self._resolution.all_together:
            self._retire(self._all)
            self._all = self._link_to_all()

    def _link_to_all(self) -> "_Link[S]":
        target = self._resolution.all_together
        balancing = Balancing.FIRST if self._resolution.is_fixed else Balancing.ALL
        return self._link(target, balancing)

    def _link(self, target: str, balancing: Balancing = Balancing.FIRST) -> "_Link[S]":
        return _Link(open_channel(target, balancing, tls=self._tls), target, self._make_stub)

    def _listed(self, address: str) -> "_Link[S]":
        if self._resolution.is_fixed:
            return self._all
        if address not in self._links:
            self._links[address] = link = self._link(address)
            link.stay_connected()
        return self._links[address]

    def _retire(self, link: "_Link[S]") -> None:
        """Have a channel closed once its calls are over."""
        task = asyncio.create_task(link.close(LAST_CALLS_S))
        self._retired[task] = link
        task.add_done_callback(self._retired.pop)


class _Link(Generic[S]):
    """A channel and its stub."""

    def __init__(
        self, channel: grpc.aio.Channel, target: str, make_stub: Callable[[grpc.aio.Channel], S]
    ) -> None:
        self.target = target
        self.channel = channel
        self.stub = make_stub(channel)
        self._connecting: asyncio.Task[None] | None = None
        self._was_connected = False

    @property
    def is_failing(self) -> bool:
        """Whether the replica cannot be reached, or not any more."""
        state = self.channel.get_state()
        return state is _FAILING or (self._was_connected and state is not _CONNECTED)

    def stay_connected(self) -> None:
        """Connect now, and again whenever that is lost, so that `is_failing` is current."""
        self._connecting = asyncio.create_task(self._stay_connected())

    async def close(self, grace_s: float | None = None) -> None:
        """End the calls, after a grace period."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        await self.channel.close(grace_s)

    async def _stay_connected(self) -> None:
        while True:
            state = self.channel.get_state(try_to_connect=True)
            self._was_connected |= state is _CONNECTED
            await self.channel.wait_for_state_change(state)


@asynccontextmanager
async def replicas(
    targets: str,
    make_stub: Callable[[grpc.aio.Channel], S],
    *,
    tls: PeerTls | None = None,
    lookup: Lookup = look_up,
    every_s: float = RESOLVED_EVERY_S,
) -> AsyncIterator[Replicas[S]]:
    """The replicas at `targets`, which are written as settings have them; see `Resolution`."""
    resolution = Resolution(targets, lookup)
    await resolution.refresh()
    found = Replicas(resolution, make_stub, tls=tls)
    following = asyncio.create_task(found.follow(every_s))
    try:
        yield found
    finally:
        following.cancel()
        await asyncio.wait({following})
        await found.close()
