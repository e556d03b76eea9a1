//! Pixels to values and back, sixteen channels at a time.
#![expect(
    clippy::needless_range_loop,
    reason = "x and y stand for the same in several arrays"
)]

use std::ops::Range;

use super::{A, B, POINTS, SIDE, TILE, apart, padded};
use crate::ops::lanes::{LANES, Lanes, Work};
use crate::ops::shared::Shared;

/// How a picture lies in memory: `[n, channels, height, width]`, of which the first tile starts `before`
/// pixels above and to the left.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) before: usize,
}

/// Takes rows of tiles, of `S` pixels a side every four pixels, to their values `[point, tile, channel]`.
pub(super) struct ToValues<'a, const S: usize> {
    pub(super) x: &'a [f32],
    pub(super) planes: Planes,
    pub(super) tiles: (usize, usize),
    pub(super) rows: Range<usize>,
    pub(super) strip: &'a mut [f32],
    pub(super) v: &'a mut [f32],
}

impl<const S: usize> Work for ToValues<'_, S> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let ((tall, wide), planes) = (self.tiles, self.planes);
        let (tiles, channels) = (self.rows.len() * wide, padded(planes.channels));
        let across = wide * TILE + S - TILE;
        // Each value is written once, by the thousand: bounds are checked here and not there.
        let next_point = apart(tiles, channels);
        assert!(self.v.len() >= POINTS * next_point);
        assert!(self.strip.len() >= S * across * LANES);
        for from in (0..channels).step_by(LANES) {
            for (i, row) in self.rows.clone().enumerate() {
                // Two lines of a window of six are those of the row before.
                let shared = if i > 0 && row % tall > 0 { S - TILE } else { 0 };
                let line = across * LANES;
                self.strip
                    .copy_within(TILE * line..(TILE + shared) * line, 0);
                let top = (row % tall) * TILE + shared;
                let lines = &mut self.strip[shared * line..S * line];
                planes.read::<L>(self.x, (row / tall, from, top), across, lines);
                for tile in 0..wide {
                    let pixels = self.strip[tile * TILE * LANES..].as_ptr();
                    let mut half = [[L::all(0.0); S]; SIDE];
                    for x in 0..S {
                        let mut column = [L::all(0.0); S];
                        for y in 0..S {
                            let at = (y * across + x) * LANES;
                            // SAFETY: row y < S, pixel tile · TILE + x < across.
                            column[y] = unsafe { L::read(pixels.wrapping_add(at)) };
                        }
                        let lifted = pixel_values(column);
                        for y in 0..SIDE {
                            half[y][x] = lifted[y];
                        }
                    }
                    let values = self.v[(i * wide + tile) * channels + from..].as_mut_ptr();
                    for y in 0..SIDE {
                        let lifted = pixel_values(half[y]);
                        for x in 0..SIDE {
                            let at = (y * SIDE + x) * next_point;
                            // SAFETY: point < POINTS, tile < tiles, channel < channels, a multiple of LANES.
                            unsafe { lifted[x].write(values.wrapping_add(at)) };
                        }
                    }
                }
            }
        }
    }
}

impl Planes {
    /// Fills `strip` with rows of `across` pixels from sixteen channels, these side by side.
    #[inline(always)]
    fn read<L: Lanes>(
        &self,
        x: &[f32],
        (sample, from, top): (usize, usize, usize),
        across: usize,
        strip: &mut [f32],
    ) {
        let there = LANES.min(self.channels - from);
        let pixels = self.width.min(across - self.before);
        for (y, strip) in strip.chunks_exact_mut(across * LANES).enumerate() {
            let line = (top + y).checked_sub(self.before);
            let Some(line) = line.filter(|line| *line < self.height) else {
                strip.fill(0.0);
                continue;
            };
            let (left, rest) = strip.split_at_mut(self.before * LANES);
            let (middle, right) = rest.split_at_mut(pixels * LANES);
            left.fill(0.0);
            right.fill(0.0);
            let start = |lane: usize| {
                ((sample * self.channels + from + lane) * self.height + line) * self.width
            };
            for from in (0..pixels).step_by(LANES) {
                let count = LANES.min(pixels - from);
                let mut rows = [L::all(0.0); LANES];
                for (lane, row) in rows.iter_mut().enumerate().take(there) {
                    *row = L::load_part(&x[start(lane) + from..][..count]);
                }
                let columns = L::turned(rows);
                let strip = middle[from * LANES..].chunks_exact_mut(LANES);
                for (strip, column) in strip.zip(columns).take(count) {
                    column.store(strip);
                }
            }
        }
    }

    /// Writes four rows to sixteen channels, which stand side by side in `strip`.
    #[inline(always)]
    fn write<L: Lanes>(
        &self,
        to: &Shared,
        (sample, from, top): (usize, usize, usize),
        across: usize,
        strip: &[f32],
    ) {
        let there = LANES.min(self.channels - from);
        for y in 0..TILE.min(self.height - top) {
            let strip = &strip[y * across * LANES..][..across * LANES];
            let line = |lane: usize| {
                let plane = sample * self.channels + from + lane;
                let at = (plane * self.height + top + y) * self.width;
                // SAFETY: each line of each plane belongs to one row of tiles, thus to one job, which has one
                // in hand at a time.
                unsafe { to.part(at, self.width) }
            };
            for from in (0..self.width).step_by(LANES) {
                let count = LANES.min(self.width - from);
                let mut columns = [L::all(0.0); LANES];
                let strip = strip[from * LANES..].chunks_exact(LANES);
                for (column, strip) in columns.iter_mut().zip(strip).take(count) {
                    *column = L::load(strip);
                }
                let rows = L::turned(columns).into_iter().enumerate();
                for (lane, row) in rows.take(there) {
                    row.store_part(&mut line(lane)[from..from + count]);
                }
            }
        }
    }
}

/// Takes values `[point, tile, channel]` back to pixels, and adds the bias.
pub(super) struct ToPixels<'a> {
    pub(super) m: &'a [f32],
    /// Channels in `m`, of which the first is `from`.
    pub(super) columns: usize,
    pub(super) from: usize,
    pub(super) bias: &'a [f32],
    pub(super) planes: Planes,
    pub(super) tiles: (usize, usize),
    pub(super) rows: Range<usize>,
    pub(super) strip: &'a mut [f32],
    pub(super) y: &'a Shared<'a>,
}

impl Work for ToPixels<'_> {
    type Out = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let ((tall, wide), planes, columns) = (self.tiles, self.planes, self.columns);
        let tiles = self.rows.len() * wide;
        let across = wide * TILE;
        let next_point = apart(tiles, columns);
        assert!(self.m.len() >= POINTS * next_point);
        assert!(self.strip.len() >= TILE * across * LANES);
        for (i, row) in self.rows.enumerate() {
            let (sample, top) = (row / tall, (row % tall) * TILE);
            for from in (0..columns).step_by(LANES) {
                let bias = L::load(&self.bias[from..]);
                for tile in 0..wide {
                    let values = self.m[(i * wide + tile) * columns + from..].as_ptr();
                    let strip = self.strip[tile * TILE * LANES..].as_mut_ptr();
                    let mut half = [[L::all(0.0); SIDE]; TILE];
                    for x in 0..SIDE {
                        let mut column = [L::all(0.0); SIDE];
                        for y in 0..SIDE {
                            let at = (y * SIDE + x) * next_point;
                            // SAFETY: point < POINTS, tile < tiles, channel < columns, a multiple of LANES.
                            column[y] = unsafe { L::read(values.wrapping_add(at)) };
                        }
                        let pixels = pixels(column);
                        for y in 0..TILE {
                            half[y][x] = pixels[y];
                        }
                    }
                    for y in 0..TILE {
                        let pixels = pixels(half[y]);
                        for x in 0..TILE {
                            let at = (y * across + x) * LANES;
                            // SAFETY: row y < TILE, pixel tile · TILE + x < across.
                            unsafe { (pixels[x] + bias).write(strip.wrapping_add(at)) };
                        }
                    }
                }
                let at = (sample, self.from + from, top);
                planes.write::<L>(self.y, at, across, self.strip);
            }
        }
    }
}

/// Values of a tile's pixels: of the six of a window (Bᵀ), or of the four that come out, by which the loss
/// changes (A).
#[inline(always)]
fn pixel_values<L: Lanes, const S: usize>(d: [L; S]) -> [L; SIDE] {
    let k = L::all;
    let (even_a, odd_a, even_b, odd_b) = if S == SIDE {
        (
            d[2].fma(k(-2.0), d[4]),
            d[1].fma(k(-2.0), d[3]),
            d[2].fma(k(-0.5), d[4]),
            d[1].fma(k(-0.5), d[3]),
        )
    } else {
        (
            d[2].fma(k(0.5), d[0]),
            d[3].fma(k(0.5), d[1]),
            d[2].fma(k(2.0), d[0]),
            d[3].fma(k(2.0), d[1]),
        )
    };
    let (first, last) = if S == SIDE {
        (
            d[2].fma(k(-2.5), d[0]) + d[4],
            d[3].fma(k(-2.5), d[1]) + d[5],
        )
    } else {
        (d[0], d[3])
    };
    [
        first,
        odd_a.fma(k(A), even_a),
        odd_a.fma(k(-A), even_a),
        odd_b.fma(k(B), even_b),
        odd_b.fma(k(-B), even_b),
        last,
    ]
}

/// Pixels from their values (Aᵀ).
#[inline(always)]
fn pixels<L: Lanes>(m: [L; SIDE]) -> [L; TILE] {
    let k = L::all;
    let (even_a, odd_a) = (m[1] + m[2], m[1] - m[2]);
    let (even_b, odd_b) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + even_a + even_b,
        odd_a.fma(k(A), k(B) * odd_b),
        even_a.fma(k(0.5), k(2.0) * even_b),
        odd_a.fma(k(0.5 * A), odd_b.fma(k(2.0 * B), m[5])),
    ]
}
