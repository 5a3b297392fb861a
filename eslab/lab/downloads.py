"""What the downloads lesson draws: a customer who asks month by month, and the limit that never gives way."""

from datetime import timedelta

import altair
import pandas

from eslab.domains.downloads.service import DownloadService, Granted
from eslab.lab import charts
from eslab.lab.session import Lab

MONTH = timedelta(days=30)


def ask_monthly(downloads: DownloadService, lab: Lab, customer: str, title: str, months: int) -> pandas.DataFrame:
    """Ask for the title once a month and note each answer, with how many of the year's downloads are used."""
    asked = []
    for month in range(months):
        request = lab.request(later=MONTH)
        answer = downloads.request_download(customer, "phone", title, request)
        granted = isinstance(answer, Granted)
        used = answer.used if granted else answer.count
        asked.append({"month": month + 1, "answer": "granted" if granted else "rejected", "used": used})
    return pandas.DataFrame(asked)


def used_over_time(asked: pandas.DataFrame) -> charts.Figure:
    """A chart of the downloads used after each wish, granted and rejected told apart by colour and shape."""
    base = altair.Chart(asked).encode(
        x=altair.X("month:O", title="month of the wish", axis=altair.Axis(labelAngle=0)),
        y=altair.Y("used:Q", title="downloads used in the past year", axis=altair.Axis(tickMinStep=1)),
    )
    chart = base.mark_line(opacity=0.4) + base.mark_point().encode(**charts.by(asked["answer"]))
    granted = asked[asked["answer"] == "granted"]["month"].tolist()
    words = f"Of {len(asked)} monthly wishes, those of months {', '.join(map(str, granted))} were granted."
    return charts.show(chart, alt=f"{words} The downloads used never pass {asked['used'].max()}.", table=asked)
