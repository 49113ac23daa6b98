"""The build plan for people: a PDF with a cover and one sheet per template, drawn as vectors so that it stays small."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sketch_cell.mosaic.bill import Bill
from sketch_cell.mosaic.colour import lab_from_linear, srgb_from_linear
from sketch_cell.mosaic.mosaic import Mosaic
from sketch_cell.mosaic.settings import LayingSettings, MosaicSettings

MARGIN = 36.0  # points
COVER_PICTURE_PX = 900
FORM_RADIUS = 8.0  # points; the size at which each colour's sweet is drawn once
LIGHT_ENOUGH = 55.0  # L* above which ink on a sweet is black


@dataclass(frozen=True)
class Template:
    """A part of the board: its place among the templates, and its cells as slices of rows and columns."""

    row: int
    col: int
    rows: slice
    cols: slice

    @property
    def name(self) -> str:
        """Letters for the row of templates, a number for the column: B3."""
        letters, number = "", self.row
        while True:
            letters = chr(ord("A") + number % 26) + letters
            number = number // 26 - 1
            if number < 0:
                return f"{letters}{self.col + 1}"


def templates(rows: int, cols: int, edge: int) -> list[Template]:
    """Templates of at most `edge` x `edge` cells that cover a board of rows x cols, in reading order."""
    return [
        Template(i, j, slice(i * edge, min(rows, (i + 1) * edge)), slice(j * edge, min(cols, (j + 1) * edge)))
        for i in range(math.ceil(rows / edge))
        for j in range(math.ceil(cols / edge))
    ]


def plan_pdf(
    mosaic: Mosaic,
    bill: Bill,
    settings: MosaicSettings,
    laying: LayingSettings,
    picture: NDArray[np.uint8],
    afar: NDArray[np.uint8],
) -> bytes:
    """The whole plan as PDF bytes; `picture` and `afar` (rows, cols, 3) sRGB go on the cover."""
    from reportlab.lib.pagesizes import A4
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    # Invariant: the same plan gives the same bytes, whenever it is made.
    canvas = Canvas(buffer, pagesize=A4, pageCompression=1, invariant=1)
    canvas.setTitle("Sweet mosaic: build plan")
    sheets = templates(mosaic.layout.rows, mosaic.layout.cols, laying.template_sweets)
    legend = _Legend(canvas, mosaic)
    _Cover(canvas, A4, mosaic, bill, legend).draw(settings, sheets, picture, afar)
    for sheet in sheets:
        canvas.showPage()
        _draw_sheet(canvas, A4, mosaic, legend, sheet, sheets)
    canvas.save()
    return buffer.getvalue()


def _polygon(corners: int, first_rad: float) -> list[tuple[float, float]]:
    angles = [first_rad + 2.0 * math.pi * k / corners for k in range(corners)]
    return [(math.cos(angle), math.sin(angle)) for angle in angles]


def _star(points: int, inner: float) -> list[tuple[float, float]]:
    outer, dents = _polygon(points, 0.5 * math.pi), _polygon(points, 0.5 * math.pi + math.pi / points)
    return [
        corner
        for tip, dent in zip(outer, dents, strict=True)
        for corner in (tip, (inner * dent[0], inner * dent[1]))
    ]


# Outlines within the unit circle, easy to tell apart when small; drawn as paths, for no reader lacks those.
SYMBOLS = (
    _polygon(32, 0.0),
    _polygon(4, 0.25 * math.pi),
    _polygon(3, 0.5 * math.pi),
    _star(5, 0.4),
    _polygon(4, 0.0),
    _polygon(3, -0.5 * math.pi),
    _star(4, 0.3),
    [(-1.0, -0.3), (1.0, -0.3), (1.0, 0.3), (-1.0, 0.3)],
    [(-0.3, -1.0), (0.3, -1.0), (0.3, 1.0), (-0.3, 1.0)],
    _polygon(6, 0.0),
    _star(3, 0.25),
    _star(8, 0.5),
)


def _font_for(text: str) -> str:
    """The name of a font that has the letters of `text`: PDF's own, or else matplotlib's DejaVu Sans."""
    try:
        text.encode("cp1252")
        return "Helvetica"
    except UnicodeEncodeError:
        from matplotlib.font_manager import findfont
        from reportlab.pdfbase.pdfmetrics import registerFont
        from reportlab.pdfbase.ttfonts import TTFont

        registerFont(TTFont("DejaVu Sans", findfont("DejaVu Sans")))
        return "DejaVu Sans"


class _Legend:
    """Number, symbol, fill and ink of every colour: the same on every sheet."""

    def __init__(self, canvas: Any, mosaic: Mosaic) -> None:
        linear = np.array([colour.linear for colour in mosaic.colours])
        self.names = [colour.name for colour in mosaic.colours]
        self._font = _font_for("".join(self.names))
        fills = (srgb_from_linear(linear) / 255.0).tolist()
        dark_inks = (lab_from_linear(linear)[:, 0] > LIGHT_ENOUGH).tolist()
        # Each sweet is drawn once and then only referred to: that keeps the file small.
        for index, (fill, dark_ink) in enumerate(zip(fills, dark_inks, strict=True)):
            canvas.beginForm(f"sweet{index}", -FORM_RADIUS, -FORM_RADIUS, FORM_RADIUS, FORM_RADIUS)
            _draw_sweet(canvas, index, fill, 0.0 if dark_ink else 1.0)
            canvas.endForm()

    def swatch(self, canvas: Any, index: int, x: float, y: float, radius: float) -> None:
        """One sweet at (x, y) [points] with its number over its symbol."""
        scale = radius / FORM_RADIUS
        canvas.saveState()
        canvas.transform(round(scale, 4), 0, 0, round(scale, 4), round(x, 2), round(y, 2))
        canvas.doForm(f"sweet{index}")
        canvas.restoreState()

    def table(
        self, canvas: Any, counts: Sequence[int], x: float, y: float, columns: int, width: float
    ) -> None:
        """Swatch, name and count of every colour that is used, from (x, y) [points] downwards."""
        used = [index for index, count in enumerate(counts) if count]
        for place, index in enumerate(used):
            left, base = x + (place % columns) * width / columns, y - (place // columns) * 20.0
            self.swatch(canvas, index, left + 8.0, base, 8.0)
            canvas.setFillGray(0.0)
            canvas.setFont(self._font, 9)
            canvas.drawString(left + 20.0, base - 3.0, f"{self.names[index][:18]}: {counts[index]}")


@dataclass(frozen=True)
class _Cover:
    """The first page: pictures, bill, sheets and how to go about it."""

    canvas: Any
    page: tuple[float, float]
    mosaic: Mosaic
    bill: Bill
    legend: _Legend

    def draw(
        self,
        settings: MosaicSettings,
        sheets: Sequence[Template],
        picture: NDArray[np.uint8],
        afar: NDArray[np.uint8],
    ) -> None:
        """The whole page."""
        canvas, (width, height) = self.canvas, self.page
        canvas.setFont("Helvetica-Bold", 20)
        canvas.drawString(MARGIN, height - MARGIN - 14, "Sweet mosaic: build plan")
        room = 0.5 * (width - 2 * MARGIN - 12)
        pictured = min(room * picture.shape[0] / picture.shape[1], 0.45 * height)
        top = height - MARGIN - 30 - pictured
        for index, image in enumerate((picture, afar)):
            _draw_image(canvas, image, MARGIN + index * (room + 12), top, room, pictured)
        canvas.setFont("Helvetica", 10)
        canvas.setFillGray(0.0)
        layout = self.mosaic.layout
        text = canvas.beginText(MARGIN, top - 20)
        for line in (
            f"{self.bill.sweets} sweets ({self.bill.sweets / 1000:.1f} kS), {layout.rows} rows of {layout.cols}, "
            f"{layout.kind} layout, {self.bill.weight_kg:.1f} kg.",
            f"Board {self.bill.width_m:.3f} x {self.bill.height_m:.3f} m, pitch {settings.pitch_m * 1000:.1f} mm, "
            f"card {_card_name(self.mosaic)}.",
            f"Price by colour {self.bill.price:.2f}; or {self.bill.bags} mixed bags for {self.bill.bags_price:.2f}, "
            f"{self.bill.left_over} sweets left over.",
            f"{len(sheets)} sheets, {sheets[0].name} (upper left) to {sheets[-1].name} (lower right). "
            "Lay the farthest row first: never reach over laid sweets.",
            "Each sweet shows its colour's number and symbol; they mean the same on every sheet.",
        ):
            text.textLine(line)
        canvas.drawText(text)
        self.legend.table(canvas, self.mosaic.counts().tolist(), MARGIN, top - 110, 3, width - 2 * MARGIN)


def _draw_sweet(canvas: Any, index: int, fill: Sequence[float], ink: float) -> None:
    """A sweet about the origin, FORM_RADIUS large: the colour's number above its symbol."""
    canvas.setFillColorRGB(*fill)
    canvas.setStrokeGray(0.5)
    canvas.setLineWidth(0.3)
    canvas.circle(0, 0, FORM_RADIUS - 0.2, stroke=1, fill=1)
    canvas.setFillGray(ink)
    canvas.setFont("Helvetica-Bold", FORM_RADIUS)
    canvas.drawCentredString(0, 0.02 * FORM_RADIUS, str(index + 1))
    path = canvas.beginPath()
    outline = [
        (0.25 * FORM_RADIUS * u, (0.25 * v - 0.42) * FORM_RADIUS) for u, v in SYMBOLS[index % len(SYMBOLS)]
    ]
    path.moveTo(*outline[0])
    for corner in outline[1:]:
        path.lineTo(*corner)
    path.close()
    canvas.drawPath(path, stroke=0, fill=1)


def _card_name(mosaic: Mosaic) -> str:
    red, green, blue = srgb_from_linear(mosaic.card).tolist()
    return {(0, 0, 0): "black", (255, 255, 255): "white"}.get(
        (red, green, blue), f"#{red:02x}{green:02x}{blue:02x}"
    )


def _draw_image(
    canvas: Any, image: NDArray[np.uint8], x: float, y: float, width: float, height: float
) -> None:
    """An sRGB picture as JPEG within a box [points], its shape kept."""
    from reportlab.lib.utils import ImageReader

    scale = min(1.0, COVER_PICTURE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 88])
    reader = ImageReader(io.BytesIO(data.tobytes()))
    canvas.drawImage(reader, x, y, width, height, preserveAspectRatio=True, anchor="n")


def _draw_sheet(
    canvas: Any,
    page: tuple[float, float],
    mosaic: Mosaic,
    legend: _Legend,
    sheet: Template,
    sheets: Sequence[Template],
) -> None:
    """One template: title, where it belongs, its sweets with row and column numbers, and their counts."""
    width, height = page
    colour = mosaic.colour[sheet.rows, sheet.cols]
    canvas.setFillGray(0.0)
    canvas.setFont("Helvetica-Bold", 16)
    canvas.drawString(MARGIN, height - MARGIN - 10, f"Sheet {sheet.name}")
    canvas.setFont("Helvetica", 10)
    canvas.drawString(
        MARGIN,
        height - MARGIN - 26,
        f"rows {sheet.rows.start + 1} to {sheet.rows.stop}, columns {sheet.cols.start + 1} to {sheet.cols.stop}: "
        f"{colour.size} sweets",
    )
    _draw_map(canvas, sheet, sheets, width - MARGIN, height - MARGIN)
    counts = np.bincount(colour.ravel(), minlength=len(mosaic.colours)).tolist()
    lines = math.ceil(sum(1 for count in counts if count) / 4)
    bottom = MARGIN + 20.0 * lines + 6.0
    _draw_cells(canvas, mosaic, legend, sheet, (MARGIN, bottom, width - MARGIN, height - MARGIN - 70))
    legend.table(canvas, counts, MARGIN, MARGIN + 20.0 * (lines - 1), 4, width - 2 * MARGIN)


def _draw_map(canvas: Any, sheet: Template, sheets: Sequence[Template], right: float, top: float) -> None:
    """A small board in the corner [points] with this sheet marked."""
    rows, cols = sheets[-1].row + 1, sheets[-1].col + 1
    step = min(50.0 / rows, 90.0 / cols)
    canvas.setStrokeGray(0.6)
    canvas.setLineWidth(0.4)
    canvas.rect(right - cols * step, top - rows * step, cols * step, rows * step, stroke=1, fill=0)
    canvas.setFillGray(0.2)
    canvas.rect(right - (cols - sheet.col) * step, top - (sheet.row + 1) * step, step, step, stroke=0, fill=1)


def _draw_cells(
    canvas: Any, mosaic: Mosaic, legend: _Legend, sheet: Template, box: tuple[float, float, float, float]
) -> None:
    """The sweets of a sheet within a box (left, bottom, right, top) [points]."""
    centres = mosaic.layout.centres()[sheet.rows, sheet.cols]
    first = centres.reshape(-1, 2).min(axis=0) - 0.5
    extent = centres.reshape(-1, 2).max(axis=0) + 0.5 - first
    numbers = 14.0  # points kept for row and column numbers
    step = min((box[2] - box[0] - numbers) / extent[0], (box[3] - box[1] - numbers) / extent[1])
    x = box[0] + numbers + (centres[..., 0] - first[0]) * step
    y = box[3] - numbers - (centres[..., 1] - first[1]) * step
    radius = 0.48 * step * min(1.0, mosaic.layout.row_step if mosaic.layout.kind == "side" else 1.0)
    colour = mosaic.colour[sheet.rows, sheet.cols]
    for i, j in np.ndindex(*colour.shape):
        legend.swatch(canvas, int(colour[i, j]), float(x[i, j]), float(y[i, j]), radius)
    canvas.setFillGray(0.4)
    canvas.setFont("Helvetica", 6)
    for i in range(colour.shape[0]):
        canvas.drawRightString(box[0] + 10.0, float(y[i, 0]) - 2.0, str(sheet.rows.start + i + 1))
    for j in range(colour.shape[1]):
        canvas.drawCentredString(float(x[0, j]), box[3] - 8.0, str(sheet.cols.start + j + 1))
