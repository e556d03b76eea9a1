"""Makes math.woff2: the part of STIX Two Math that formulas in notebooks need.

The whole font, 400 kB, comes from the npm package @fontsource/stix-two-math 5.3.0, under the licence beside this file:

    npm pack @fontsource/stix-two-math@5.3.0 && tar xzf fontsource-stix-two-math-5.3.0.tgz
    pip install fonttools==4.68.0 brotli==1.2.1
    python subset.py package/files/stix-two-math-latin-400-normal.woff2 math.woff2
"""

import sys

from fontTools import subset
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont


def between(first, last):
    return range(first, last + 1)


CHARACTERS = [
    *between(0x20, 0x7E),  # ASCII
    *b"\xa0\xac\xaf\xb0\xb1\xb2\xb3\xb4\xb7\xb8\xb9\xbd\xd7\xf7",  # Latin 1: signs
    0x131, 0x237,  # i and j without a dot, below accents
    *between(0x391, 0x3A9), *between(0x3B1, 0x3C9), 0x3D1, 0x3D5, 0x3D6, 0x3F0, 0x3F1, 0x3F5,  # Greek
    0x2C6, 0x2C7, 0x2D8, 0x2D9, 0x2DA, 0x2DC,  # accents
    0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x307, 0x308, 0x30A, 0x30C, 0x332, 0x338, 0x20D7,
    0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2020, 0x2022, 0x2026, 0x2032, 0x2033, 0x2035, 0x203E,
    0x2070, *between(0x2074, 0x208E), 0x2061, 0x2062, 0x2063,
    0x2102, 0x210B, 0x210E, 0x210F, 0x2110, 0x2111, 0x2112, 0x2113, 0x2115, 0x2119, 0x211A, 0x211B, 0x211C, 0x211D, 0x2124, 0x212C, 0x2130,
    0x2131, 0x2133, 0x2134, 0x212F, 0x210A,  # letters that have a place of their own
    *between(0x2190, 0x2195), 0x21A6, 0x21C0, *between(0x21D0, 0x21D4), 0x27F5, 0x27F6, 0x27F7, 0x27F8, 0x27F9, 0x27FA,  # arrows
    *between(0x2200, 0x220F), 0x2210, 0x2211, 0x2212, 0x2213, 0x2215, 0x2216, 0x2217, 0x2218, 0x2219, 0x221A, 0x221D, 0x221E, 0x2223,
    0x2225, 0x2227, 0x2228, 0x2229, 0x222A, 0x222B, 0x222C, 0x222E, 0x2234, 0x223C, 0x2243, 0x2245, 0x2248, 0x2254, 0x2260, 0x2261, 0x2264,
    0x2265, 0x226A, 0x226B, 0x2272, 0x2273, 0x2282, 0x2283, 0x2286, 0x2287, 0x2295, 0x2297, 0x2299, 0x22A4, 0x22A5, 0x22C5, 0x22C6,
    0x22EE, 0x22EF, 0x22F1, 0x2308, 0x2309, 0x230A, 0x230B, 0x23B4, 0x23B5, 0x23DC, 0x23DD, 0x23DE, 0x23DF,  # operators, brackets
    0x27E8, 0x27E9, 0x27EE, 0x27EF, 0x2A7D, 0x2A7E,
    *between(0x1D400, 0x1D467),  # bold, italic
    *between(0x1D49C, 0x1D4CF),  # script
    *between(0x1D538, 0x1D550), 0x1D7D9,  # double-struck capitals
    *between(0x1D6A4, 0x1D6A5), *between(0x1D6A8, 0x1D71B),  # Greek: bold, italic
    *between(0x1D7CE, 0x1D7D7),  # bold digits
]


def one_width(font, character, width):
    """Gives all sizes of a sign that grows upwards the same width, by stretching them.

    Chromium reserves the width of the widest size for each (MathML Core, preferred inline size of a stretchy glyph),
    which leaves a gap of 0.4 em after a small root in the original.
    """
    glyphs, metrics = font.getGlyphSet(), font["hmtx"]
    name = font.getBestCmap()[ord(character)]
    variants = font["MATH"].table.MathVariants
    sizes = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(name)]
    names = {name, *(size.VariantGlyph for size in sizes.MathGlyphVariantRecord)}
    if sizes.GlyphAssembly:
        names |= {part.glyph for part in sizes.GlyphAssembly.PartRecords}
    drawn = {}
    for name in names:
        factor = width / metrics[name][0]
        pen = TTGlyphPen(None)
        glyphs[name].draw(TransformPen(pen, (factor, 0, 0, 1, 0, 0)))
        drawn[name] = pen.glyph()
    for name, glyph in drawn.items():
        font["glyf"][name] = glyph
        glyph.recalcBounds(font["glyf"])
        metrics[name] = (width, glyph.xMin)


def main(source, target):
    font = TTFont(source)
    one_width(font, "√", 930)
    options = subset.Options()
    options.flavor = "woff2"
    options.hinting = False
    options.layout_features = ["ssty", "dtls", "flac", "mark", "mkmk", "ccmp", "kern"]
    options.name_IDs = ["*"]  # copyright and licence stay in it
    options.notdef_outline = True
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    subset.save_font(font, target, options)


main(*sys.argv[1:])
