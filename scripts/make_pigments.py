"""Compute the reflectances of eslab/domains/pigment.py, in thousandths; run it and paste them into `PIGMENTS`.

Of all reflectance curves that look like a pigment's sRGB colour in daylight, it takes the smoothest one within 0..1:
R = (1 + tanh z) / 2 with the least sum of squared steps of z (the third method in Burns, Color Res. Appl. 2020), found
by Newton's method.
"""

import numpy as np

from eslab.domains.pigment import EYES, PIGMENTS, Colour, linear_rgb


def smoothest(colour: Colour) -> list[float]:
    """The smoothest reflectance curve with this colour: one value a band, to three decimals."""
    eyes = np.array(EYES)
    wanted = np.array(linear_rgb(colour))
    bands = eyes.shape[1]
    steps = np.diff(np.eye(bands), axis=0)
    rough = 2 * steps.T @ steps
    z = np.zeros(bands)
    price = np.zeros(3)  # the Lagrange multipliers of the three channels
    for _ in range(100):
        curve = (1 + np.tanh(z)) / 2
        slope = (1 - np.tanh(z) ** 2) / 2
        pull = slope * (eyes.T @ price)
        gap = np.concatenate([rough @ z + pull, eyes @ curve - wanted])
        if np.abs(gap).max() < 1e-10:
            return [round(float(r), 3) for r in curve]
        bend = rough - np.diag(2 * np.tanh(z) * pull)
        edge = slope[:, None] * eyes.T
        move = np.linalg.solve(np.block([[bend, edge], [edge.T, np.zeros((3, 3))]]), -gap)
        move *= min(1.0, 2 / np.abs(move).max())  # a full step can leap far past the flat ends of tanh
        z = z + move[:bands]
        price = price + move[bands:]
    raise ArithmeticError(f"Newton's method did not converge to a curve for {colour} in 100 steps.")


if __name__ == "__main__":
    for name, pigment in PIGMENTS.items():
        print(f'"{name}": "{" ".join(f"{1000 * r:.0f}" for r in smoothest(pigment.colour))}"')
