"""What the eyes and the camera of one clinic have in common."""

from dataclasses import dataclass

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """The statistics of a domain; a pair is mean and standard deviation. Colours are RGB from 0 to 255."""

    disc_width: tuple[float, float]  # shares of the side
    aspect: float  # height of the disc divided by its width
    cup_to_disc: tuple[float, float]  # vertical
    jitter: float  # standard deviation of the disc's centre
    cup: Rgb  # where it is brightest
    rim: Rgb
    retina: Rgb
    spread: Rgb  # standard deviations of an image's mean colour
    vessels: Rgb  # shares of the light that a thick vessel absorbs
    vessel_width: float  # factor
    edge: tuple[float, float]  # sharpest and softest edge of the disc, shares of its width
    stops: float  # share of images with the black edge of the field of view
    stripes: float  # contrast of nerve fibres
    atrophy: float  # strength of the crescent beside the disc
    haze: float  # the most that a cloudy lens hides
    blur: tuple[float, float]  # least and most, shares of the side
    noise: float  # grey levels


# From the published sets Drishti-GS, RIM-ONE, REFUGE and ORIGA: sizes, cup-to-disc ratios, colours and framing.
LOOKS = {
    "drawn_a": Look(
        disc_width=(0.70, 0.07),
        aspect=1.05,
        cup_to_disc=(0.66, 0.15),
        jitter=0.01,
        cup=(222, 134, 40),
        rim=(176, 82, 21),
        retina=(128, 62, 17),
        spread=(28, 20, 14),
        vessels=(0.16, 0.60, 0.55),
        vessel_width=1.15,
        edge=(0.03, 0.09),
        stops=0.0,
        stripes=0.03,
        atrophy=0.5,
        haze=0.25,
        blur=(0.0018, 0.0045),
        noise=2.0,
    ),
    "drawn_b": Look(
        disc_width=(0.69, 0.05),
        aspect=1.08,
        cup_to_disc=(0.48, 0.20),
        jitter=0.01,
        cup=(214, 130, 66),
        rim=(164, 68, 28),
        retina=(106, 42, 18),
        spread=(38, 21, 11),
        vessels=(0.42, 0.80, 0.70),
        vessel_width=1.25,
        edge=(0.03, 0.08),
        stops=0.0,
        stripes=0.05,
        atrophy=0.4,
        haze=0.1,
        blur=(0.0010, 0.0030),
        noise=4.0,
    ),
    "drawn_c": Look(
        disc_width=(0.57, 0.06),
        aspect=1.11,
        cup_to_disc=(0.48, 0.10),
        jitter=0.02,
        cup=(255, 210, 128),
        rim=(192, 96, 54),
        retina=(112, 66, 34),
        spread=(17, 11, 12),
        vessels=(0.36, 0.72, 0.58),
        vessel_width=1.0,
        edge=(0.02, 0.07),
        stops=0.55,
        stripes=0.11,
        atrophy=1.0,
        haze=0.05,
        blur=(0.0012, 0.0022),
        noise=2.0,
    ),
    "drawn_d": Look(
        disc_width=(0.59, 0.05),
        aspect=1.04,
        cup_to_disc=(0.59, 0.08),
        jitter=0.05,
        cup=(262, 230, 142),
        rim=(244, 164, 74),
        retina=(214, 116, 44),
        spread=(13, 13, 18),
        vessels=(0.14, 0.50, 0.45),
        vessel_width=0.85,
        edge=(0.05, 0.14),
        stops=0.0,
        stripes=0.04,
        atrophy=0.4,
        haze=0.6,
        blur=(0.0020, 0.0060),
        noise=1.5,
    ),
}
