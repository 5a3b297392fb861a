"""Compute the reflectances of eslab/domains/pigment.py, in thousandths: run it, and paste them into `PIGMENTS`.

Of all curves that have a pigment's sRGB in daylight, the smoothest one inside 0..1 is taken: R = (1 + tanh z) / 2,
and the squared steps of z are least (the third method in Burns, Color Res. Appl. 2020), by Newton's method.
"""

import numpy as np

from eslab.domains.pigment import EYES, PIGMENTS, Colour, linear_rgb


def smoothest(colour: Colour) -> list[float]:
    """The smoothest reflectance with this colour, in each band, to three decimals."""
    eyes, wanted = np.array(EYES), np.array(linear_rgb(colour))
    bands = eyes.shape[1]
    steps = np.diff(np.eye(bands), axis=0)
    rough = 2 * steps.T @ steps
    z, price = np.zeros(bands), np.zeros(3)  # price: the Lagrange multipliers of the three channels
    for _ in range(100):
        curve, slope = (1 + np.tanh(z)) / 2, (1 - np.tanh(z) ** 2) / 2
        pull = slope * (eyes.T @ price)
        gap = np.concatenate([rough @ z + pull, eyes @ curve - wanted])
        if np.abs(gap).max() < 1e-10:
            return [round(float(r), 3) for r in curve]
        bend = rough - np.diag(2 * np.tanh(z) * pull)
        edge = slope[:, None] * eyes.T
        move = np.linalg.solve(np.block([[bend, edge], [edge.T, np.zeros((3, 3))]]), -gap)
        move *= min(1.0, 2 / np.abs(move).max())  # a full step can leap far past the flat ends of tanh
        z, price = z + move[:bands], price + move[bands:]
    raise ArithmeticError(f"Expected Newton's method to settle on a curve for {colour} in 100 steps, but it did not.")


if __name__ == "__main__":
    for name, pigment in PIGMENTS.items():
        print(f'"{name}": "{" ".join(f"{1000 * r:.0f}" for r in smoothest(pigment.colour))}"')
