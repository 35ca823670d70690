"""What the operators' constructors refuse, each in one sentence with the values that are possible."""


def check_counts(**counts: int) -> None:
    """`ValueError` for the first that is no whole number of at least 1 (``generator_layers``: 0), and for a
    ``...kernel_size`` or ``window`` that is even, since it would have no centre."""
    for name, count in counts.items():
        least = 0 if name == "generator_layers" else 1
        if not isinstance(count, int) or count < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {count!r}")
        if name.endswith(("kernel_size", "window")) and count % 2 == 0:
            raise ValueError(f"{name} must be odd, got {count}")


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """`ValueError` when ``value`` is none of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def check_divides(name: str, divisor: int, channels: int, even_share: bool = False) -> None:
    """`ValueError` when ``channels`` cannot be dealt out evenly, each share even where ``even_share``."""
    step = 2 if even_share else 1
    if divisor < 1 or channels % (divisor * step):
        possible = [str(d) for d in range(1, channels + 1) if channels % (d * step) == 0]
        shares = "even shares" if even_share else "equal shares"
        raise ValueError(
            f"{name}={divisor} does not divide {channels} channels into {shares}; possible are "
            f"{', '.join(possible) or 'none: choose another width'}"
        )
