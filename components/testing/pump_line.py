"""The demo's table line: a simulated pump loop with valve faults and, in later batches, a slow drift.

A pump of variable speed drives water round a loop through a control valve and a cooler. Each second the operating
point is where the pump's curve meets the loop's resistance:

    head = HEAD s² - CURVE q² = STATIC + (PIPE f(T) + VALVE / opening²) q²

with speed s (1 is full), flow q in l/min and heads in bar; f is the fall of friction as warm water thins. Flow, speed
and temperature follow with their own lags. The constants are chosen to give a bench of 0.7 kW, not measured on one.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from components.core.errors import ConfigError
from components.core.seeds import generator

COLUMNS = (
    "time",
    "mode",
    "pressure_bar",
    "flow_lpm",
    "motor_current_a",
    "vibration_pump_mm_s",
    "vibration_motor_mm_s",
    "temperature_c",
    "voltage_v",
    "anomaly",
)
"""Columns of every file: a reading a second; `anomaly` is 1 while a fault acts."""

FAULTS = ("closing", "leak", "sticking")
"""Kinds of faults: the valve closes in part, water leaves before the flow meter, the valve sticks and slips."""

MIN_ROWS = 200

MODES = {"eco": 0.86, "normal": 0.90, "boost": 0.94}
"""Pump mode → speed."""

HEAD, CURVE, STATIC, PIPE, VALVE = 4.2, 1.2e-4, 0.4, 1.5e-4, 1.0e-4
_OPENING = 0.70
_BEST_FLOW = 88.0  # l/min at full speed, where the pump is most efficient and runs most quietly
_AMBIENT = 21.0
_HEATING = 35.0  # kelvin above ambient for each kW, when the cooler is clean
_START = datetime(2025, 3, 3, 6, 0, 0)  # noqa: DTZ001 - plant loggers write local time without a zone
_ROWS_PER_FAULT = 375
# Shares of a later batch between which cooler and bearing age; before it is as batch 1, after it stays aged.
_AGEING = (0.25, 0.75)
_MISSING_SHARE = 0.002

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drive:
    """What acts on the loop, each ``(rows,)``: chosen mode, valve opening, share leaked, ageing in [0, 1], fault."""

    mode: list[str]
    opening: Series
    leak: Series
    age: Series
    fault: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """What truly happens, each ``(rows,)``: speed, flow through pump and meter, head, power in kW, temperature."""

    speed: Series
    pumped: Series
    metered: Series
    head: Series
    power: Series
    temperature: Series


def write_batch(target: Path, *, batch: int, seed: int, rows: int = 3000) -> None:
    """Write one batch of the line as `pump-<batch>.csv` below `target`.

    In batch 1 the loop is in order but for its faults. In any later batch the cooler fouls and the bearing wears
    between a quarter and three quarters of the batch: some 8 K warmer and a quarter more vibration in the end. A few
    vibration readings are missing, as with a loose plug. The same arguments write the same bytes.

    Args:
        target: Folder of the line; made when missing.
        batch: Number of the batch, from 1; each is a day later than the one before.
        seed: Of everything drawn.
        rows: Seconds recorded, at least `MIN_ROWS`.

    Raises:
        ConfigError: `rows` is too small for a fault and its surroundings.
    """
    if rows < MIN_ROWS:
        raise ConfigError(f"{rows} rows are too few for a batch of the pump line.", hint=f"Use at least {MIN_ROWS}.")
    rng = generator(seed, "pump", batch)
    drive = _drive(rows, rng=rng, ageing=batch > 1)
    table = _readings(drive, _run(drive), rng=rng)
    start = _START + timedelta(days=batch - 1)
    target.mkdir(parents=True, exist_ok=True)
    with (target / f"pump-{batch}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, (mode, values, fault) in enumerate(zip(drive.mode, table, drive.fault, strict=True)):
            time = (start + timedelta(seconds=row)).isoformat(sep=" ")
            writer.writerow([time, mode, *("" if np.isnan(v) else f"{v:.4f}" for v in values), fault])


def _drive(rows: int, *, rng: np.random.Generator, ageing: bool) -> _Drive:
    steps = np.arange(rows)
    opening = _OPENING * (1 + 0.03 * _wander(rows, rng, seconds=60))
    leak = np.zeros(rows)
    fault = np.zeros(rows, np.int8)
    for kind, start, end in _episodes(rows, rng):
        _act(kind, slice(start, end), rng=rng, opening=opening, leak=leak)
        fault[start:end] = 1
    age = np.clip((steps / rows - _AGEING[0]) / (_AGEING[1] - _AGEING[0]), 0, 1) * ageing
    return _Drive(mode=_modes(rows, rng), opening=opening, leak=leak, age=age, fault=fault)


def _modes(rows: int, rng: np.random.Generator) -> list[str]:
    """A mode a second; the operator changes it every few minutes."""
    modes: list[str] = []
    while len(modes) < rows:
        others = [mode for mode in MODES if not modes or mode != modes[-1]]
        modes += [others[int(rng.integers(len(others)))]] * int(rng.integers(150, 360))
    return modes[:rows]


def _episodes(rows: int, rng: np.random.Generator) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end) of each fault: spread over the batch, apart from each other, kinds in turn."""
    count = max(1, round(rows / _ROWS_PER_FAULT))
    order = rng.permutation(len(FAULTS))
    first = rows // 20
    slot = (rows - first) // count
    for index in range(count):
        length = int(rng.integers(40, 91))
        start = first + index * slot + int(rng.integers(10, slot - length - 10))
        yield FAULTS[order[index % len(FAULTS)]], start, start + length


def _act(kind: str, when: slice, *, rng: np.random.Generator, opening: Series, leak: Series) -> None:
    """Change valve and leak in place while a fault acts; it comes and goes over some seconds."""
    length = when.stop - when.start
    seconds = np.arange(length)
    onset = np.clip(np.minimum(seconds + 1, length - seconds) / rng.uniform(2, 5), 0, 1)
    if kind == "closing":
        opening[when] *= 1 - onset * rng.uniform(0.25, 0.48)
    elif kind == "leak":
        leak[when] = onset * rng.uniform(0.12, 0.24)
    else:
        swing = signal.sawtooth(2 * np.pi * seconds / rng.uniform(9, 22))
        opening[when] *= 1 + onset * swing * rng.uniform(0.18, 0.32)


def _run(drive: _Drive) -> _Loop:
    """Step the loop through time, a second a step."""
    rows = len(drive.mode)
    state = np.empty((rows, 6))
    speed = MODES[drive.mode[0]]
    flow = _flow(speed, drive.opening[0], 45.0, 0.0)
    temperature = _AMBIENT + _HEATING * _power(speed, flow)
    for row in range(rows):
        speed += (MODES[drive.mode[row]] - speed) / 6
        leak = drive.leak[row]
        flow += (_flow(speed, drive.opening[row], temperature, leak) - flow) / 2.5
        power = _power(speed, flow)
        warm = _AMBIENT + _HEATING * (1 + 0.32 * drive.age[row]) * power
        temperature += (warm - temperature) / 90
        state[row] = speed, flow, flow * (1 - leak), HEAD * speed**2 - CURVE * flow**2, power, temperature
    speeds, pumped, metered, head, powers, temperatures = state.T
    return _Loop(speed=speeds, pumped=pumped, metered=metered, head=head, power=powers, temperature=temperatures)


def _flow(speed: float, opening: float, temperature: float, leak: float) -> float:
    """Flow through the pump, in l/min, where its curve meets the loop's resistance; a leak passes by the resistance."""
    thin = 1 - 0.006 * (temperature - 45)
    loop = (PIPE * thin + VALVE / opening**2) * (1 - leak) ** 2
    return float(np.sqrt((HEAD * speed**2 - STATIC) / (CURVE + loop)))


def _power(speed: float, flow: float) -> float:
    """Electrical power in kW: 600 l/min at 1 bar are 1 kW of water."""
    efficiency = 0.52 * (1 - ((flow / speed - _BEST_FLOW) / 150) ** 2)
    return (HEAD * speed**2 - CURVE * flow**2) * flow / 600 / efficiency


def _readings(drive: _Drive, loop: _Loop, *, rng: np.random.Generator) -> Series:
    """What the sensors say, ``(rows, 7)``: the columns between `mode` and `anomaly`; NaN where a reading is missing."""
    rows = len(drive.mode)
    voltage = 400 + 1.5 * _wander(rows, rng, seconds=40)
    current = 1000 * loop.power / (np.sqrt(3) * voltage * 0.82)
    rough = 1 + 1.5 * ((loop.pumped / loop.speed - _BEST_FLOW) / 60) ** 2
    throttled = 0.6 * np.abs(_OPENING / drive.opening - 1)
    pump = (1.6 * loop.speed**2 * rough + throttled) * (1 + 0.25 * drive.age)
    motor = 0.9 * loop.speed**2 + 0.2 * pump
    noisy = [
        loop.head + _noise(rows, rng, 0.025),
        loop.metered + _noise(rows, rng, 0.7),
        current + _noise(rows, rng, 0.018),
        pump * np.exp(_noise(rows, rng, 0.07)),
        motor * np.exp(_noise(rows, rng, 0.06)),
        loop.temperature + 0.15 * _wander(rows, rng, seconds=20),
        voltage - 1.5 * (current - 1.2) + rng.normal(0, 0.4, rows),
    ]
    table = np.stack(noisy, axis=1)
    table[:, 3:5][rng.random((rows, 2)) < _MISSING_SHARE] = np.nan
    return table


def _noise(rows: int, rng: np.random.Generator, scale: float) -> Series:
    """Sensor noise of deviation `scale`: half of its variance wanders over a few seconds."""
    return scale * float(np.sqrt(0.5)) * (_wander(rows, rng, seconds=4) + rng.normal(size=rows))


def _wander(rows: int, rng: np.random.Generator, *, seconds: float) -> Series:
    """A stationary AR(1) series of deviation 1 that forgets over `seconds`."""
    keep = float(np.exp(-1 / seconds))
    shocks = rng.normal(size=rows) * np.sqrt(1 - keep**2)
    shocks[0] = rng.normal()
    return cast(Series, signal.lfilter([1.0], [1.0, -keep], shocks))
