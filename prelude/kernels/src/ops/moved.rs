//! Numbers that only change their place, by all threads: between a picture's layout and that of its tokens, and
//! between sizes.

use rayon::prelude::*;

use super::lanes::widest;
use super::shared::written;
use super::turn::Turn;

/// Channels of one after those of the other: `a` has `[n, a]` numbers, `b` has `[n, b]`.
pub(super) fn concat_channels(a: &[f32], b: &[f32], n: usize) -> Vec<f32> {
    let (wide_a, wide_b) = (a.len() / n, b.len() / n);
    let fill = |out: &mut [f32]| {
        out.par_chunks_mut(wide_a + wide_b)
            .zip(a.par_chunks(wide_a).zip(b.par_chunks(wide_b)))
            .for_each(|(out, (a, b))| {
                out[..wide_a].copy_from_slice(a);
                out[wide_a..].copy_from_slice(b);
            });
    };
    // SAFETY: each sample is written as a whole.
    unsafe { written(a.len() + b.len(), fill) }.0
}

/// The first `width` numbers of each sample, and the rest.
pub(super) fn split_channels(x: &[f32], n: usize, width: usize) -> (Vec<f32>, Vec<f32>) {
    let whole = x.len() / n;
    let fill = |a: &mut [f32], b: &mut [f32]| {
        x.par_chunks(whole)
            .zip(a.par_chunks_mut(width).zip(b.par_chunks_mut(whole - width)))
            .for_each(|(x, (a, b))| {
                a.copy_from_slice(&x[..width]);
                b.copy_from_slice(&x[width..]);
            });
    };
    // SAFETY: each sample is written as a whole.
    let (a, (b, ())) =
        unsafe { written(n * width, |a| written(n * (whole - width), |b| fill(a, b))) };
    (a, b)
}

/// `[n, rows, columns]` gives `[n, columns, rows]`.
pub(super) fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let area = rows * columns;
    let fill = |out: &mut [f32]| {
        let samples = out.par_chunks_mut(area).zip(x.par_chunks(area));
        samples.for_each(|(to, from)| {
            widest(Turn {
                from,
                along: columns,
                rows,
                columns,
                to,
                across: rows,
            });
        });
    };
    // SAFETY: each number has its place.
    unsafe { written(x.len(), fill) }.0
}

/// `[n, tokens, K, heads, dim]` gives `K` times `[n, heads, tokens, dim]`.
pub(super) fn split<const K: usize>(
    x: &[f32],
    n: usize,
    heads: usize,
    dim: usize,
) -> [Vec<f32>; K] {
    let sample = x.len() / n;
    let tokens = sample / (K * heads * dim);
    let fill = |k: usize, out: &mut [f32]| {
        let all = out.par_chunks_mut(tokens * dim).enumerate();
        all.for_each(|(i, out)| {
            let (n, head) = (i / heads, i % heads);
            let first = &x[n * sample + (k * heads + head) * dim..];
            let from = first.chunks(K * heads * dim);
            let pairs = out.chunks_exact_mut(dim).zip(from);
            pairs.for_each(|(out, from)| copy(&from[..dim], out));
        });
    };
    // SAFETY: each head is written as a whole.
    std::array::from_fn(|k| unsafe { written(x.len() / K, |out| fill(k, out)) }.0)
}

/// What [`split`] was given.
pub(super) fn join<const K: usize>(
    parts: [&[f32]; K],
    n: usize,
    heads: usize,
    dim: usize,
) -> Vec<f32> {
    let sample = parts[0].len() / n;
    let tokens = sample / (heads * dim);
    let fill = |out: &mut [f32]| {
        let samples = out.par_chunks_mut(K * sample).enumerate();
        samples.for_each(|(n, out)| {
            let mut places = out.chunks_exact_mut(dim);
            for token in 0..tokens {
                for part in parts {
                    for (head, out) in places.by_ref().take(heads).enumerate() {
                        let from = n * sample + (head * tokens + token) * dim;
                        copy(&part[from..from + dim], out);
                    }
                }
            }
        });
    };
    // SAFETY: each token is written as a whole.
    unsafe { written(K * n * sample, fill) }.0
}

/// Copies few numbers, sixteen at a time where there are as many: that is what heads often have.
fn copy(from: &[f32], to: &mut [f32]) {
    let (from, rest) = from.as_chunks::<16>();
    let (to, rest_to) = to.as_chunks_mut::<16>();
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    rest_to.copy_from_slice(rest);
}

/// Each pixel as four, cut down to `(tall, wide)`: planes of `(height, width)` give planes of that.
pub(super) fn upsample2(
    x: &[f32],
    (height, width): (usize, usize),
    (tall, wide): (usize, usize),
) -> Vec<f32> {
    assert!(tall <= 2 * height && wide <= 2 * width);
    let fill = |out: &mut [f32]| {
        let planes = out.par_chunks_mut(tall * wide);
        planes
            .zip(x.par_chunks(height * width))
            .for_each(|(out, x)| {
                for (i, out) in out.chunks_exact_mut(wide).enumerate() {
                    let x = &x[i / 2 * width..][..width];
                    let (pairs, odd) = out.as_chunks_mut::<2>();
                    pairs.iter_mut().zip(x).for_each(|(out, x)| *out = [*x; 2]);
                    if let ([odd], Some(x)) = (odd, x.get(wide / 2)) {
                        *odd = *x;
                    }
                }
            });
    };
    // SAFETY: each pixel is one of four, as just checked.
    unsafe { written(x.len() / (height * width) * tall * wide, fill) }.0
}

/// The gradient of [`upsample2`]: the sum of what came of each pixel.
pub(super) fn upsample2_adjoint(
    x: &[f32],
    (tall, wide): (usize, usize),
    (height, width): (usize, usize),
) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / (tall * wide) * height * width];
    out.par_chunks_mut(height * width)
        .zip(x.par_chunks(tall * wide))
        .for_each(|(out, x)| {
            for (i, x) in x.chunks_exact(wide).enumerate() {
                let out = &mut out[i / 2 * width..][..width];
                let (pairs, odd) = x.as_chunks::<2>();
                let sums = out.iter_mut().zip(pairs);
                sums.for_each(|(out, [a, b])| *out += a + b);
                if let ([odd], Some(out)) = (odd, out.get_mut(wide / 2)) {
                    *out += odd;
                }
            }
        });
    out
}

/// Planes of `(height, width)` cut off, or filled up with zeros below and to the right, to `(tall, wide)`.
pub(super) fn resized(
    x: &[f32],
    (height, width): (usize, usize),
    (tall, wide): (usize, usize),
) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / (height * width) * tall * wide];
    let common = width.min(wide);
    out.par_chunks_mut(tall * wide)
        .zip(x.par_chunks(height * width))
        .for_each(|(out, x)| {
            let rows = out.chunks_exact_mut(wide).zip(x.chunks_exact(width));
            rows.for_each(|(out, x)| out[..common].copy_from_slice(&x[..common]));
        });
    out
}

/// Each number of `t` added to its plane of `x`, which has as many planes of equal size.
pub(super) fn shift(x: &[f32], t: &[f32]) -> Vec<f32> {
    let area = x.len() / t.len();
    let fill = |out: &mut [f32]| {
        out.par_chunks_mut(area)
            .zip(x.par_chunks(area).zip(t))
            .for_each(|(out, (x, t))| {
                out.iter_mut().zip(x).for_each(|(out, x)| *out = x + t);
            });
    };
    // SAFETY: each plane is written as a whole.
    unsafe { written(x.len(), fill) }.0
}

/// The sum of each plane of so many numbers.
pub(super) fn sums(x: &[f32], area: usize) -> Vec<f32> {
    let sum = |plane: &[f32]| {
        let mut lanes = [0.0f64; 16];
        let (chunks, rest) = plane.as_chunks::<16>();
        for chunk in chunks {
            let pairs = lanes.iter_mut().zip(chunk);
            pairs.for_each(|(sum, x)| *sum += f64::from(*x));
        }
        let rest = rest.iter().map(|x| f64::from(*x));
        (lanes.iter().sum::<f64>() + rest.sum::<f64>()) as f32
    };
    x.par_chunks(area).map(sum).collect()
}

/// `a + b`.
pub(super) fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    assert_eq!(a.len(), b.len());
    let fill = |out: &mut [f32]| {
        out.par_chunks_mut(PART)
            .zip(a.par_chunks(PART).zip(b.par_chunks(PART)))
            .for_each(|(out, (a, b))| {
                let pairs = out.iter_mut().zip(a.iter().zip(b));
                pairs.for_each(|(out, (a, b))| *out = a + b);
            });
    };
    // SAFETY: there are as many of each.
    unsafe { written(a.len(), fill) }.0
}

/// `a ← a + b`.
pub(super) fn add_to(a: &mut [f32], b: &[f32]) {
    a.par_chunks_mut(PART)
        .zip(b.par_chunks(PART))
        .for_each(|(a, b)| a.iter_mut().zip(b).for_each(|(a, b)| *a += b));
}

/// Numbers that one thread takes at a time.
const PART: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(len: usize) -> Vec<f32> {
        (0..len).map(|i| i as f32).collect()
    }

    #[test]
    fn a_turned_matrix_has_its_columns_as_rows() {
        let x = counted(2 * 20 * 37);
        let out = transpose(&x, 20, 37);
        assert_eq!(out[20 * 37 + 5 * 20 + 3], x[20 * 37 + 3 * 37 + 5]);
        assert_eq!(transpose(&out, 37, 20), x);
    }

    #[test]
    fn split_parts_join_again() {
        let (n, tokens, heads, dim) = (2, 5, 3, 4);
        let x = counted(n * tokens * 3 * heads * dim);
        let parts = split::<3>(&x, n, heads, dim);
        // Sample 1, head 2, token 3, number 1 of the second part.
        let known = x[(((tokens + 3) * 3 + 1) * heads + 2) * dim + 1];
        assert_eq!(parts[1][((heads + 2) * tokens + 3) * dim + 1], known);
        let joined = join(parts.each_ref().map(Vec::as_slice), n, heads, dim);
        assert_eq!(joined, x);
    }

    #[test]
    fn stacked_channels_come_apart_again() {
        let (a, b) = (counted(6), counted(4));
        let both = concat_channels(&a, &b, 2);
        assert_eq!(both, [0.0, 1.0, 2.0, 0.0, 1.0, 3.0, 4.0, 5.0, 2.0, 3.0]);
        assert_eq!(split_channels(&both, 2, 3), (a, b));
    }

    #[test]
    fn a_doubled_picture_has_each_pixel_four_times_and_halving_adds_them() {
        let out = upsample2(&[1.0, 2.0, 3.0, 4.0], (2, 2), (4, 3));
        let (top, bottom) = ([1.0, 1.0, 2.0], [3.0, 3.0, 4.0]);
        assert_eq!(out, [top, top, bottom, bottom].concat());
        let sums = upsample2_adjoint(&[1.0; 12], (4, 3), (2, 2));
        assert_eq!(sums, [4.0, 2.0, 4.0, 2.0]);
    }
}
