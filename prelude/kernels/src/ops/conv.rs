//! Convolution of pictures.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Tensor};
use itd_cell::slices::{of as slice, stored};
use rayon::prelude::*;

use super::shared::written;
use super::turn::turn;
use super::{im2col, phases, pointwise, winograd};
use crate::error::Result;

/// `y[o] = Σ_c w[o, c] ∗ x[c] + b[o]`, with zeros around the picture.
///
/// # Shapes
/// `x`: `[n, c, height, width]`, `w`: `[o, c, k, k]`, `b`: `[o]`; gives `[n, o, height', width']` with
/// `height' = (height + 2·padding − k)/stride + 1`, rounded down.
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) when shapes or types do not fit.
///
/// # Numerics
/// On the CPU, in `f32`, kernels of 3×3 on many channels go by Winograd's algorithm: the largest error is then
/// about 2·10⁻⁶ of the largest value, against 4·10⁻⁷ elsewhere. The numbers do not depend on the number of
/// threads. What is needed beside input and output stays below some megabytes and four times the weights.
///
/// # Cost
/// On two cores whose plain product does 150 GFLOP/s, kernels of 3×3 on 64 to 256 channels do 300 (counted as
/// direct sums), kernels of one pixel 120, and with a stride of 2 75; gradients take twice as long again.
/// `docs/benchmarks.md` has the table, PyTorch's beside it.
///
/// # Example: a kernel of ones adds up its window
/// ```
/// # use itd_kernels as itd_prelude;
/// use itd_prelude::{Error, candle::{DType, Device, Tensor}, ops::conv2d};
///
/// let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu);
/// let y = conv2d(&ones(&[1, 1, 3, 3])?, &ones(&[1, 1, 3, 3])?, &ones(&[1])?, 1, 1)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [5.0, 7.0, 5.0, 7.0, 10.0, 7.0, 5.0, 7.0, 5.0]);
/// # Ok::<(), Error>(())
/// ```
pub fn conv2d(x: &Tensor, w: &Tensor, b: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let ((_, c, height, width), (o, channels, kernel, across)) = (x.dims4()?, w.dims4()?);
    if stride == 0
        || channels != c
        || b.dims() != [o]
        || kernel == 0
        || kernel > height + 2 * padding
        || across == 0
        || across > width + 2 * padding
    {
        let error = candle_core::Error::Msg(format!(
            "conv2d: x is {:?}, w {:?} and b {:?}, stride {stride}, padding {padding}; x must be [n, c, height, \
             width], w [o, c, k, k] and b [o], the kernel at most as big as the padded picture",
            x.dims(),
            w.dims(),
            b.dims()
        ));
        return Err(error.bt().into());
    }
    let fused = x.device().is_cpu()
        && x.dtype() == DType::F32
        && kernel == across
        && x.elem_count() > 0
        && w.elem_count() > 0;
    if !fused {
        return plain(x, w, b, stride, padding);
    }
    let (x, w, b) = (x.contiguous()?, w.contiguous()?, b.contiguous()?);
    Ok(x.apply_op3(&w, &b, Conv::new(stride, padding))?)
}

/// The slow twin.
fn plain(x: &Tensor, w: &Tensor, b: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let b = b.reshape((1, b.elem_count(), 1, 1))?;
    Ok(x.conv2d(w, padding, stride, 1, 1)?.broadcast_add(&b)?)
}

pub(super) struct Conv {
    stride: usize,
    padding: usize,
}

impl Conv {
    pub(super) fn new(stride: usize, padding: usize) -> Self {
        Self { stride, padding }
    }

    /// The gradients by `x`, `w` and `b` that are wanted; these arguments contiguous.
    pub(super) fn gradients(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        dy: &Tensor,
        wanted: [bool; 3],
    ) -> candle_core::Result<[Option<Tensor>; 3]> {
        let sizes = self.sizes(x.shape(), w.shape())?;
        let dy = dy.contiguous()?;
        let (storage, layout) = dy.storage_and_layout();
        let dy = stored(&storage, layout)?;
        let dx = match wanted[0] {
            false => None,
            true => {
                let (storage, layout) = w.storage_and_layout();
                let w = stored(&storage, layout)?;
                let fill = |dx: &mut [f32]| input_gradient(sizes, w, dy, dx);
                // SAFETY: each way writes all pixels.
                let (dx, ()) = unsafe { written(x.elem_count(), fill) };
                Some(Tensor::from_vec(dx, x.shape(), x.device())?)
            }
        };
        let dw = match wanted[1] {
            false => None,
            true => {
                let (storage, layout) = x.storage_and_layout();
                let x = stored(&storage, layout)?;
                let dw = weight_gradient(sizes, x, dy);
                Some(Tensor::from_vec(dw, w.shape(), w.device())?)
            }
        };
        let db = match wanted[2] {
            false => None,
            true => Some(Tensor::from_vec(sums(sizes, dy), sizes.o, b.device())?),
        };
        Ok([dx, dw, db])
    }

    fn sizes(&self, x: &Shape, w: &Shape) -> candle_core::Result<im2col::Sizes> {
        let ((n, c, height, width), (o, _, kernel, _)) = (x.dims4()?, w.dims4()?);
        Ok(im2col::Sizes {
            n,
            c,
            o,
            height,
            width,
            kernel,
            stride: self.stride,
            padding: self.padding,
        })
    }
}

/// The sizes for Winograd's algorithm, where it can be used and is faster.
fn winograd(sizes: &im2col::Sizes) -> Option<winograd::Sizes> {
    let &im2col::Sizes {
        n,
        c,
        o,
        height,
        width,
        padding,
        ..
    } = sizes;
    let (tall, wide) = sizes.out();
    let tiles = n * tall.div_ceil(4) * wide.div_ceil(4);
    let fits = sizes.kernel == 3 && sizes.stride == 1 && padding <= 2;
    let sizes = winograd::Sizes {
        n,
        c,
        o,
        height,
        width,
        padding,
    };
    // The weights' values must be used often enough to be worth computing.
    let enough = if fits && winograd::by_channels(sizes) {
        12
    } else {
        48
    };
    (fits && c >= 16 && tiles >= enough).then_some(sizes)
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        w: &CpuStorage,
        lw: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(lx.shape(), lw.shape())?;
        let (x, w, b) = (slice(x, lx)?, slice(w, lw)?, slice(b, lb)?);
        let (height, width) = sizes.out();
        let fill = |y: &mut [f32]| match winograd(&sizes) {
            Some(sizes) => winograd::forward(sizes, x, w, false, Some(b), y),
            None if pointwise::fits(&sizes) => pointwise::forward(sizes, x, w, Some(b), y),
            None if phases::fits(&sizes) => phases::forward(sizes, x, w, b, y),
            None => match back(sizes) {
                // The windows of what comes out are fewer: add to them, rather than gather those of `x`.
                Some(back) if 4 * sizes.o <= sizes.c && sizes.n > 1 => {
                    let w = turned(w, sizes.c, sizes.o, sizes.kernel * sizes.kernel);
                    im2col::input_gradient(back, &w, x, Some(b), y)
                }
                _ => im2col::forward(sizes, x, w, Some(b), y),
            },
        };
        // SAFETY: each way writes all pixels.
        let (y, ()) = unsafe { written(sizes.n * sizes.o * height * width, fill) };
        let shape = Shape::from((sizes.n, sizes.o, height, width));
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = [x, w, b].map(Tensor::track_op);
        Ok(self.gradients(x, w, b, dy, wanted)?.into())
    }
}

/// The convolution that takes `dy` to the gradient by `x`, with the kernels turned by half a circle.
fn back(sizes: im2col::Sizes) -> Option<im2col::Sizes> {
    let (height, width) = sizes.out();
    (sizes.stride == 1 && sizes.padding < sizes.kernel).then(|| im2col::Sizes {
        c: sizes.o,
        o: sizes.c,
        height,
        width,
        padding: sizes.kernel - 1 - sizes.padding,
        ..sizes
    })
}

/// `[o, c, kernel, kernel]` gives `[c, o, kernel, kernel]`, each kernel turned by half a circle.
fn turned(w: &[f32], c: usize, o: usize, area: usize) -> Vec<f32> {
    let fill = |turned: &mut [f32]| {
        let channels = turned.par_chunks_mut(o * area).enumerate();
        channels.for_each(|(channel, turned)| {
            for (out, to) in turned.chunks_exact_mut(area).enumerate() {
                let from = &w[(out * c + channel) * area..][..area];
                let pairs = to.iter_mut().zip(from.iter().rev());
                pairs.for_each(|(to, from)| *to = *from);
            }
        });
    };
    match area {
        1 => turn(w, c),
        // SAFETY: each kernel has its place.
        _ => unsafe { written(w.len(), fill) }.0,
    }
}

fn input_gradient(sizes: im2col::Sizes, w: &[f32], dy: &[f32], dx: &mut [f32]) {
    if phases::fits(&sizes) {
        return phases::input_gradient(sizes, w, dy, dx);
    }
    let Some(back) = back(sizes) else {
        return im2col::input_gradient(sizes, w, dy, None, dx);
    };
    if let Some(back) = winograd(&back) {
        return winograd::forward(back, dy, w, true, None, dx);
    }
    let w = turned(w, sizes.c, sizes.o, sizes.kernel * sizes.kernel);
    match pointwise::fits(&back) {
        true => pointwise::forward(back, dy, &w, None, dx),
        false => im2col::forward(back, dy, &w, None, dx),
    }
}

fn weight_gradient(sizes: im2col::Sizes, x: &[f32], dy: &[f32]) -> Vec<f32> {
    if let Some(sizes) = winograd(&sizes) {
        return winograd::weight_gradient(sizes, x, dy);
    }
    if pointwise::fits(&sizes) {
        return pointwise::weight_gradient(sizes, x, dy);
    }
    if phases::fits(&sizes) {
        return phases::weight_gradient(sizes, x, dy);
    }
    match back(sizes) {
        // Also a sum over all pixels of both; the side with fewer channels is cheaper to gather windows of.
        Some(back) if back.c < sizes.c => {
            let dw = im2col::weight_gradient(back, dy, x);
            turned(&dw, back.c, back.o, sizes.kernel * sizes.kernel)
        }
        _ => im2col::weight_gradient(sizes, x, dy),
    }
}

/// The gradient by `b`: sums over samples and pixels.
fn sums(sizes: im2col::Sizes, dy: &[f32]) -> Vec<f32> {
    let (height, width) = sizes.out();
    let area = height * width;
    let plane = |plane: &[f32]| -> f64 {
        let mut lanes = [0.0; 16];
        let chunks = plane.chunks_exact(16);
        let rest = chunks
            .remainder()
            .iter()
            .map(|x| f64::from(*x))
            .sum::<f64>();
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(sum, x)| *sum += x);
        }
        rest + lanes.into_iter().map(f64::from).sum::<f64>()
    };
    (0..sizes.o)
        .into_par_iter()
        .map(|out| {
            (0..sizes.n)
                .map(|sample| plane(&dy[(sample * sizes.o + out) * area..][..area]))
                .sum::<f64>() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::rng;

    /// n, c, o, height, width, kernel, stride, padding.
    const CASES: [[usize; 8]; 26] = [
        [1, 1, 1, 1, 1, 1, 1, 0],
        [3, 5, 7, 9, 6, 3, 1, 1],
        [3, 3, 4, 6, 7, 2, 1, 0],
        [1, 4, 3, 8, 8, 5, 1, 2],
        [3, 4, 6, 8, 8, 3, 2, 1],
        [1, 3, 5, 9, 7, 3, 2, 0],
        [2, 2, 3, 7, 5, 4, 3, 2],
        [1, 2, 2, 3, 3, 3, 1, 3],
        [3, 20, 17, 5, 6, 1, 1, 0],
        [3, 20, 17, 5, 6, 1, 2, 0],
        [1, 70, 65, 16, 16, 1, 1, 0],
        [1, 70, 65, 4, 4, 3, 1, 1],
        // These go by phases.
        [3, 16, 20, 16, 16, 3, 2, 1],
        [1, 17, 33, 13, 15, 3, 2, 1],
        [2, 20, 16, 15, 20, 4, 3, 2],
        [10, 16, 40, 14, 19, 5, 2, 0],
        // These go by Winograd's algorithm.
        [3, 16, 16, 16, 16, 3, 1, 1],
        [1, 17, 40, 31, 29, 3, 1, 1],
        [3, 40, 17, 18, 23, 3, 1, 0],
        [3, 16, 33, 19, 13, 3, 1, 2],
        [64, 16, 16, 1, 1, 3, 1, 1],
        [16, 64, 64, 9, 8, 3, 1, 1],
        [3, 64, 3, 16, 16, 3, 1, 1],
        [3, 20, 130, 10, 9, 3, 1, 1],
        [16, 130, 136, 4, 4, 3, 1, 1],
        [4, 16, 130, 13, 14, 3, 1, 2],
    ];

    struct Case {
        x: Var,
        w: Var,
        b: Var,
        /// Weights of the pixels in the loss.
        loss: Tensor,
        stride: usize,
        padding: usize,
    }

    impl Case {
        fn new(case: [usize; 8]) -> Self {
            let [n, c, o, height, width, k, stride, padding] = case;
            let mut rng = rng::seeded(case.iter().sum::<usize>() as u64);
            let mut var =
                |shape: &[usize]| Var::from_tensor(&rng::normal(shape, &mut rng).unwrap()).unwrap();
            let side = |side: usize| (side + 2 * padding - k) / stride + 1;
            Self {
                x: var(&[n, c, height, width]),
                w: var(&[o, c, k, k]),
                b: var(&[o]),
                loss: var(&[n, o, side(height), side(width)]).as_tensor().detach(),
                stride,
                padding,
            }
        }

        /// Result and the gradients by x, w, b.
        fn run(&self) -> [Vec<f32>; 4] {
            let y = conv2d(&self.x, &self.w, &self.b, self.stride, self.padding).unwrap();
            assert_eq!(y.dims(), self.loss.dims());
            let loss = (&y * &self.loss).unwrap().sum_all().unwrap();
            let grads = loss.backward().unwrap();
            let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let grad = |var: &Var| numbers(grads.get(var).unwrap());
            [numbers(&y), grad(&self.x), grad(&self.w), grad(&self.b)]
        }

        /// The same by its definition, in `f64`. The operation is linear in each argument, so that each
        /// gradient is a sum of products too, and exact: no finite differences are needed.
        fn definition(&self) -> [Vec<f64>; 4] {
            let numbers = |t: &Tensor| -> Vec<f64> {
                let flat = t.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
                flat.to_vec1().unwrap()
            };
            let (n, c, height, width) = self.x.dims4().unwrap();
            let (o, _, k, _) = self.w.dims4().unwrap();
            let (_, _, tall, wide) = self.loss.dims4().unwrap();
            let (x, w, b, dy) = (
                numbers(&self.x),
                numbers(&self.w),
                numbers(&self.b),
                numbers(&self.loss),
            );
            let mut y = vec![0.0; dy.len()];
            let (mut dx, mut dw, mut db) = (vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; o]);
            for at in 0..y.len() {
                let (j, i) = (at % wide, at / wide % tall);
                let (out, sample) = (at / wide / tall % o, at / wide / tall / o);
                y[at] = b[out];
                db[out] += dy[at];
                for tap in 0..c * k * k {
                    let (channel, ky, kx) = (tap / (k * k), tap / k % k, tap % k);
                    let row = (i * self.stride + ky).wrapping_sub(self.padding);
                    let column = (j * self.stride + kx).wrapping_sub(self.padding);
                    if row < height && column < width {
                        let from = ((sample * c + channel) * height + row) * width + column;
                        let weight = out * c * k * k + tap;
                        y[at] += x[from] * w[weight];
                        dx[from] += dy[at] * w[weight];
                        dw[weight] += dy[at] * x[from];
                    }
                }
            }
            assert_eq!(y.len(), n * o * tall * wide);
            [y, dx, dw, db]
        }
    }

    /// The largest difference, in units of the largest number.
    fn distance(got: &[f32], known: &[f64]) -> f64 {
        assert_eq!(got.len(), known.len());
        let largest = known.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        let pairs = got.iter().zip(known);
        pairs.fold(0.0, |a: f64, (g, k)| a.max((f64::from(*g) - k).abs())) / largest
    }

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        for sizes in CASES {
            let case = Case::new(sizes);
            let names = ["y", "dx", "dw", "db"];
            let results = case.run().into_iter().zip(case.definition());
            for (name, (got, known)) in names.into_iter().zip(results) {
                let distance = distance(&got, &known);
                assert!(distance < 3e-6, "{sizes:?}, {name}: {distance}");
            }
        }
    }

    #[test]
    fn values_are_those_of_the_slow_twin() {
        for sizes in CASES {
            let case = Case::new(sizes);
            let slow = plain(&case.x, &case.w, &case.b, case.stride, case.padding).unwrap();
            let slow = slow.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
            let distance = distance(&case.run()[0], &slow.to_vec1().unwrap());
            assert!(distance < 3e-6, "{sizes:?}: {distance}");
        }
    }

    #[test]
    fn the_numbers_do_not_depend_on_the_number_of_threads() {
        let on = |threads: usize, case: &Case| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| case.run())
        };
        for sizes in CASES {
            let case = Case::new(sizes);
            let one = on(1, &case);
            assert_eq!(one, on(2, &case), "{sizes:?}");
            assert_eq!(one, on(3, &case), "{sizes:?}");
        }
    }

    #[test]
    fn arguments_may_be_turned_or_repeated() {
        let mut rng = rng::seeded(1);
        let x = rng::normal(&[2, 9, 10, 16], &mut rng).unwrap();
        let x = x.transpose(1, 3).unwrap();
        let w = rng::normal(&[1, 16, 3, 3], &mut rng).unwrap();
        let w = w.broadcast_as((16, 16, 3, 3)).unwrap();
        let b = Tensor::ones(1, DType::F32, &Device::Cpu).unwrap();
        let b = b.broadcast_as(16).unwrap();
        let fast = conv2d(&x, &w, &b, 1, 1).unwrap();
        let copy = |t: &Tensor| t.force_contiguous().unwrap();
        let slow = plain(&copy(&x), &copy(&w), &copy(&b), 1, 1).unwrap();
        let apart = (fast - slow).unwrap().abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-4);
    }

    #[test]
    fn only_the_gradients_that_are_asked_for_are_given() {
        let case = Case::new(CASES[12]);
        let frozen = case.w.as_tensor().detach();
        let y = conv2d(&case.x, &frozen, &case.b.as_tensor().detach(), 1, 1).unwrap();
        let grads = y.sum_all().unwrap().backward().unwrap();
        assert!(grads.get(&case.x).is_some() && grads.get(&frozen).is_none());
    }

    #[test]
    fn nothing_gives_nothing() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let y = conv2d(
            &zeros(&[0, 3, 8, 8]),
            &zeros(&[4, 3, 3, 3]),
            &zeros(&[4]),
            1,
            1,
        );
        assert_eq!(y.unwrap().dims(), [0, 4, 8, 8]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let (x, w, b) = (zeros(&[1, 3, 4, 4]), zeros(&[2, 3, 3, 3]), zeros(&[2]));
        assert!(conv2d(&x, &w, &b, 1, 1).is_ok());
        assert!(conv2d(&x, &w, &b, 0, 1).is_err());
        assert!(conv2d(&x, &w, &zeros(&[3]), 1, 1).is_err());
        assert!(conv2d(&x, &zeros(&[2, 4, 3, 3]), &b, 1, 1).is_err());
        assert!(conv2d(&x, &zeros(&[2, 3, 5, 5]), &b, 1, 0).is_err());
        assert!(conv2d(&zeros(&[3, 4, 4]), &w, &b, 1, 1).is_err());
        let w = w.to_dtype(DType::F64).unwrap();
        assert!(conv2d(&x, &w, &b, 1, 1).is_err());
    }
}
