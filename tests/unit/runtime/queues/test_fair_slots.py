"""Whoever asks for much waits behind those who ask for little."""

import asyncio

from services.runtime.queues.fair_slots import FairSlots


async def test_callers_are_served_in_turn() -> None:
    slots, served = FairSlots(1), list[str]()

    async def work(caller: str) -> None:
        async with slots.place(caller):
            served.append(caller)
            await asyncio.sleep(0)

    await asyncio.gather(*map(work, ["ada"] * 5 + ["bob"] * 2 + ["cem"]))
    assert served == ["ada", "bob", "cem", "ada", "bob", "ada", "ada", "ada"]


async def test_a_place_survives_whoever_gives_up() -> None:
    slots = FairSlots(1)

    async def hold() -> None:
        async with slots.place("ada"):
            await asyncio.get_running_loop().create_future()

    holding, waiting, next_ = (asyncio.create_task(hold()) for _ in range(3))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    # The place is given to one who gives up in the same moment.
    holding.cancel()
    await asyncio.sleep(0)
    next_.cancel()
    await asyncio.gather(holding, waiting, next_, return_exceptions=True)
    async with asyncio.timeout(5), slots.place("bob"):
        pass
