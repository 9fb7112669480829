"""The looks on offer: colours, shape, framing and light, all from one rendered head."""

from dataclasses import dataclass

import numpy as np

from engine.face.dye import Dye, Dyes
from engine.face.ramps import Floats, ramp

Colour = tuple[int, int, int]

UNDYED = Dyes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Swell:
    """A part of the face made wider or higher, fading out at its radii (pixels of the picture)."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    wider: float = 1.0
    higher: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """What the camera sees: larger by `zoom` about a point of the picture, perhaps mirrored."""

    zoom: float = 1.0
    centre: tuple[float, float] = (360.0, 360.0)
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """A round gradient behind the head, from its middle to the corners, as red, green, blue."""

    inner: Colour
    outer: Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one digital human looks."""

    name: str
    backdrop: Backdrop
    dyes: Dyes = UNDYED
    shape: tuple[Swell, ...] = ()
    framing: Framing = Framing()


def _eyes(*, wider: float, higher: float) -> tuple[Swell, Swell]:
    left, right = (
        Swell(centre=(x, 263.0), radii=(52.0, 40.0), wider=wider, higher=higher)
        for x in (309.0, 414.0)
    )
    return left, right


MIA = Look(name="mia", backdrop=Backdrop(inner=(218, 228, 236), outer=(132, 150, 168)))
AMARA = Look(
    name="amara",
    backdrop=Backdrop(inner=(244, 228, 206), outer=(178, 138, 106)),
    dyes=Dyes(
        skin=Dye(lightness=0.62, lift=-2, keep=0.92, red=1, yellow=2),
        hair=Dye(lightness=0.62, keep=0.5),
        eyes=Dye(lightness=0.6, keep=0.7),
        jacket=Dye(lightness=1.15, keep=0, red=-14, yellow=4),
        shirt=Dye(lightness=0.93, keep=0.5, yellow=5),
    ),
    shape=(
        Swell(centre=(360.0, 384.0), radii=(85.0, 50.0), wider=1.12, higher=1.14),
        Swell(centre=(360.0, 325.0), radii=(55.0, 45.0), wider=1.16),
        Swell(centre=(360.0, 300.0), radii=(240.0, 220.0), wider=1.04, higher=0.98),
    ),
    framing=Framing(zoom=1.1, centre=(360.0, 330.0), mirrored=True),
)
ELIN = Look(
    name="elin",
    backdrop=Backdrop(inner=(240, 238, 234), outer=(190, 186, 184)),
    dyes=Dyes(
        skin=Dye(lightness=1.04, keep=0.82, red=1, yellow=-1),
        hair=Dye(lightness=1.6, lift=14, keep=0.6, red=4, yellow=16),
        eyes=Dye(lightness=1.1, keep=0, red=-4, yellow=-14),
        jacket=Dye(lightness=1.1, lift=3, keep=0, red=32, yellow=11),
        shirt=Dye(lightness=0.97, keep=0.4, yellow=1),
    ),
    shape=(
        *_eyes(wider=1.05, higher=1.1),
        Swell(centre=(360.0, 420.0), radii=(170.0, 130.0), wider=0.93, higher=1.04),
        Swell(centre=(360.0, 325.0), radii=(50.0, 45.0), wider=0.9),
        Swell(centre=(360.0, 384.0), radii=(70.0, 40.0), wider=0.93),
    ),
    framing=Framing(zoom=1.2, centre=(360.0, 318.0)),
)
YUNA = Look(
    name="yuna",
    backdrop=Backdrop(inner=(210, 226, 216), outer=(112, 146, 130)),
    dyes=Dyes(
        skin=Dye(lightness=0.97, keep=0.9, yellow=3),
        hair=Dye(lightness=0.45, keep=0.3),
        eyes=Dye(lightness=0.65, keep=0.8),
        jacket=Dye(lightness=2.1, lift=10, keep=0, red=1, yellow=5),
        shirt=Dye(lightness=0.33, keep=0, yellow=-2),
    ),
    shape=(
        *_eyes(wider=1.03, higher=0.86),
        Swell(centre=(360.0, 360.0), radii=(200.0, 170.0), wider=1.06, higher=0.96),
        Swell(centre=(360.0, 300.0), radii=(34.0, 60.0), wider=1.1),
        Swell(centre=(360.0, 384.0), radii=(70.0, 40.0), wider=0.94, higher=1.06),
    ),
    framing=Framing(zoom=1.03, centre=(360.0, 350.0), mirrored=True),
)
LOOKS = (MIA, AMARA, ELIN, YUNA)


def bend(shape: tuple[Swell, ...], x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return where the points of a shaped face lie in the rendered picture."""
    for swell in shape:
        across, down = x - swell.centre[0], y - swell.centre[1]
        distance = np.hypot(across / swell.radii[0], down / swell.radii[1])
        share = ramp(1.0, 0.0, distance)
        x = (x + across * share * (1.0 / swell.wider - 1.0)).astype(np.float32)
        y = (y + down * share * (1.0 / swell.higher - 1.0)).astype(np.float32)
    return x, y
