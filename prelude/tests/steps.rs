//! What K steps cost: the path divergence, against closed forms, bounds and likelihoods; the best steps; and what else one
//! curve tells: the local dimension, and the log-probability without time.

use itd_prelude::bound::{
    Reconstruction, asymptotic_steps, ends, optimal_steps, output_divergence, path_divergence,
};
use itd_prelude::denoiser::{FnDenoiser, Parametrization};
use itd_prelude::distribution::{Conditionals, MarkovChain};
use itd_prelude::likelihood::{order_nll, order_nll_exact};
use itd_prelude::prelude::*;
use itd_prelude::sample::{Sampler, Steps};
use itd_prelude::schedule::{Betas, Variance};
use itd_prelude::stats;

fn gaussian() -> Gaussian {
    let rows = [[0.9, 0.1, 0.0], [0.1, 0.3, 0.0], [0.0, 0.0, 0.1]];
    Gaussian::new(&[0.4, -0.2, 0.0], &rows).unwrap()
}

/// DDPM's β from 1e-4 to 0.02, whatever the number of steps.
fn linear(steps: usize) -> NoiseSchedule {
    let betas = Betas::Linear {
        first: 1e-4,
        last: 0.02,
    };
    NoiseSchedule::new(steps, betas, (0.0, 0.999)).unwrap()
}

fn even(high: f64, low: f64, steps: usize) -> NoiseSchedule {
    let mut log_snr = linspace(low, high, steps).unwrap();
    log_snr.reverse();
    NoiseSchedule::from_log_snr(log_snr).unwrap()
}

fn density(schedule: NoiseSchedule) -> BoundConfig {
    BoundConfig {
        variance: Variance::Small,
        reconstruction: Reconstruction::Vdm,
        ..BoundConfig::density(schedule)
    }
}

/// From an SNR of 0 up to 10⁴, for a normal number: K = 100 and 1000.
#[test]
fn a_normal_number_in_known_steps() {
    let normal = Gaussian::standard(1).unwrap();
    let (zero, high) = (0.0, 1e4f64);
    let price = |snr: &[f64]| path_divergence(&normal, snr).unwrap().total.nats;
    let known = [
        (100, [0.2187, 0.3311, 9.7321], 0.2121),
        (1000, [0.021_27, 0.031_40, 0.464_9], 0.021_21),
    ];
    for (count, [best, uniform, ddpm], limit) in known {
        let found = optimal_steps(&normal, count, (zero, high)).unwrap();
        assert_eq!(
            (found.len(), found[0], found[count]),
            (count + 1, 0.0, high)
        );
        let (found, exact) = (
            price(&found),
            0.5 * (count as f64 * (high.ln_1p() / count as f64).exp_m1() - high.ln_1p()),
        );
        println!("{count}: {found:.5}, in closed form {exact:.5}");
        assert!(
            found >= exact - 1e-12 && found < 1.0005 * exact,
            "{found} {exact}"
        );
        assert!((found / best - 1.0).abs() < 1e-3, "{found}");
        let even: Vec<f64> = linspace(-6.0, high.ln(), count).unwrap();
        let even: Vec<f64> = std::iter::once(0.0)
            .chain(even.iter().map(|a| a.exp()))
            .collect();
        assert!(
            (price(&even) / uniform - 1.0).abs() < 1e-3,
            "{}",
            price(&even)
        );
        let schedule = NoiseSchedule::linear(1000).unwrap().strided(count).unwrap();
        let steps = [vec![0.0], schedule.snr()].concat();
        assert!(
            (price(&steps) / ddpm - 1.0).abs() < 1e-3,
            "{}",
            price(&steps)
        );
        let asymptotic = asymptotic_steps(&normal, count, (zero, high)).unwrap();
        assert!(
            (asymptotic.nats / limit - 1.0).abs() < 1e-3,
            "{}",
            asymptotic.nats
        );
        // Its own steps cost hardly more than the best ones.
        assert!(price(&asymptotic.snr) < 1.01 * exact);
    }
}

/// The bound minus the likelihood is the divergence of paths, and what is lost at the ends.
#[test]
fn bound_minus_likelihood_is_the_divergence_of_paths() {
    let gaussian = gaussian();
    for count in [10, 100, 1000] {
        let cosine = NoiseSchedule::cosine(1000).unwrap().strided(count).unwrap();
        for (name, schedule) in [
            ("even", even(9.0, -9.0, count)),
            ("cosine", cosine),
            ("linear", linear(count)),
        ] {
            // At the steps themselves nothing is interpolated.
            let alphas: Vec<f64> = schedule.log_snr.iter().rev().copied().collect();
            let at_steps = gaussian
                .curve(&Quadrature::through(alphas.clone()).unwrap())
                .unwrap();
            let config = density(schedule.clone());
            let bound = bound_of_curve(&at_steps, &gaussian, &config).unwrap();
            // The likelihood, from many points, on the same interval: beyond it the data are the reference.
            let points = Quadrature::trapezoid(alphas[0], alphas[count - 1], 20_001).unwrap();
            let many = gaussian.curve(&points).unwrap();
            let nll = many.nll(&gaussian).unwrap();
            let (snr, ends) = (schedule.snr(), ends(&gaussian, &schedule).unwrap());
            let path = path_divergence(&gaussian, &snr).unwrap();
            let gap = bound.total.nats - nll.nats - ends.prior - ends.reconstruction;
            println!("{count} {name}: {gap:.7} {:.7}", path.total.nats);
            assert!((gap - path.total.nats).abs() < 1e-6, "{count} {name}");
            assert!((bound.diffusion.nats - path.rectangles).abs() < 1e-9 * path.rectangles);
            assert!((many.area().unwrap().nats - path.integral).abs() < 1e-6);
            let sum: f64 = path.steps.iter().map(|step| step.nats).sum();
            assert!((sum - path.total.nats).abs() < 1e-9 && path.steps.len() == count - 1);
            // A curve knows as much as the closed form.
            let of_curve = path_divergence(&many, &snr).unwrap();
            assert!((of_curve.total.nats - path.total.nats).abs() < 1e-6 * (1.0 + path.rectangles));
        }
    }
}

#[test]
fn a_coin_and_its_curve_agree() {
    let coin = Scalar::coin();
    let curve = coin
        .curve(&Quadrature::trapezoid(-8.0, 4.0, 1500).unwrap())
        .unwrap();
    for count in [5, 40] {
        let snr = even(4.0, -8.0, count).snr();
        let (exact, of_curve) = (
            path_divergence(&coin, &snr).unwrap(),
            path_divergence(&curve, &snr).unwrap(),
        );
        let apart = exact.total.nats - of_curve.total.nats;
        assert!(apart.abs() < 1e-6, "{count}: {apart}");
        for (one, other) in exact.steps.iter().zip(&of_curve.steps) {
            assert!((one.nats - other.nats).abs() < 1e-6);
        }
    }
}

#[test]
fn the_best_steps_are_never_worse() {
    let gaussian = gaussian();
    let coin = Scalar::coin();
    let data = Dataset::new("normal", gaussian.sample(300, &mut rng::seeded(1)).unwrap()).unwrap();
    let points = Quadrature::trapezoid(-10.0, 9.3, 60).unwrap();
    // Noisy: it does not always fall.
    let measured = mse_curve(&gaussian.denoiser(&[3]).unwrap(), &data, &points).unwrap();
    for count in [3, 10, 40] {
        let schedules = [
            even(9.2, -9.2, count + 1),
            NoiseSchedule::linear(1000)
                .unwrap()
                .strided(count + 1)
                .unwrap(),
            NoiseSchedule::cosine(1000)
                .unwrap()
                .strided(count + 1)
                .unwrap(),
            NoiseSchedule::sigmoid(1000)
                .unwrap()
                .strided(count + 1)
                .unwrap(),
        ];
        for schedule in &schedules {
            let snr: Vec<f64> = schedule.snr();
            // On the interval of the curve.
            let snr: Vec<f64> = snr
                .into_iter()
                .filter(|s| (-10.0..9.3).contains(&s.ln()))
                .collect();
            let (count, range) = (snr.len() - 1, (snr[0], snr[snr.len() - 1]));
            if count == 0 {
                continue;
            }
            let all: [itd_prelude::bound::ErrorOf; 3] =
                [(&gaussian).into(), (&coin).into(), (&measured).into()];
            for of in all {
                let of_ends = (range.0, range.1.min(40.0));
                let (range, snr) = match of {
                    // The integrals of a coin are not for an SNR of thousands.
                    itd_prelude::bound::ErrorOf::Scalar(_) if range.1 > 40.0 => {
                        let snr: Vec<f64> =
                            linspace(of_ends.0.ln(), of_ends.1.ln(), count + 1).unwrap();
                        (of_ends, snr.iter().map(|a| a.exp()).collect())
                    }
                    _ => (range, snr.clone()),
                };
                let price = |snr: &[f64]| path_divergence(of, snr).unwrap().rectangles;
                let best = price(&optimal_steps(of, count, range).unwrap());
                let slack = 1e-9 * best.abs();
                assert!(best <= price(&snr) + slack, "{count} {of:?}");
                let limit = asymptotic_steps(of, count, range).unwrap();
                assert!(best <= price(&limit.snr) + slack, "{count}");
            }
        }
    }
}

/// Two steps, one place to choose: by trying many.
#[test]
fn one_place_is_found_by_trying_all() {
    let gaussian = gaussian();
    let range = (1e-3, 300.0);
    let found = optimal_steps(&gaussian, 2, range).unwrap();
    let price = |middle: f64| {
        path_divergence(&gaussian, &[range.0, middle, range.1])
            .unwrap()
            .total
            .nats
    };
    let tried = linspace(range.0.ln() + 0.01, range.1.ln() - 0.01, 20_000).unwrap();
    let best = tried
        .iter()
        .map(|alpha| price(alpha.exp()))
        .fold(f64::INFINITY, f64::min);
    assert!(price(found[1]) < best * (1.0 + 1e-6), "{found:?} {best}");
}

/// A bound that is measured, the likelihood of a curve that is measured with other noise, and the divergence of paths.
#[test]
fn on_a_trained_network_all_three_agree_within_errors() {
    let data = toy::correlated_gaussian(1500, 0).unwrap();
    let net = Mlp::new(
        &MlpConfig::default(),
        &data.train.gaussian().unwrap(),
        data.shape(),
        &device(),
    )
    .unwrap();
    let config = TrainConfig {
        steps: Some(150),
        ..Default::default()
    };
    train(&net, &data.train, &config).unwrap();
    let test = &data.test;
    let reference = test.gaussian().unwrap();
    let schedule = even(7.0, -7.0, 10);
    let points = Quadrature::trapezoid(-7.0, 7.0, 85).unwrap();
    let draws = CurveConfig {
        draws: 8,
        ..Default::default()
    };
    let curve = mse_curve_with(&net, test, &points, &draws).unwrap();
    let nll = curve.nll(&reference).unwrap();
    let bound = variational_bound(
        &net,
        test,
        &BoundConfig {
            seed: 7,
            ..density(schedule.clone())
        },
    )
    .unwrap();
    let path = path_divergence(&curve, &schedule.snr()).unwrap();
    let ends = ends(&reference, &schedule).unwrap();
    let gap = bound.total.nats - nll.nats - ends.prior - ends.reconstruction;
    let err = f64::hypot(bound.total.minus(&nll).std_err, path.total.std_err);
    println!(
        "bound {}, nll {nll}, gap {gap:.4} ± {err:.4}, path {}",
        bound.total, path.total
    );
    assert!(
        (gap - path.total.nats).abs() < 4.0 * err,
        "{gap} {}",
        path.total
    );
    assert!(path.total.nats > 10.0 * err, "the test could not fail");
    let by_curve = bound_of_curve(&curve, &reference, &density(schedule)).unwrap();
    let gap = by_curve.total.nats - nll.nats - ends.prior - ends.reconstruction;
    // The same curve on both sides: only the rule of the integral is another.
    assert!((gap - path.total.nats).abs() < 0.02, "{gap} {}", path.total);
}

/// The output of the sampler of this library has the variance that the recursion says.
#[test]
fn samples_have_the_divergence_of_the_recursion() {
    let normal = Gaussian::new(&[0.0], &[[4.0]]).unwrap();
    let schedule = even(6.0, -12.0, 8);
    let config = SampleConfig {
        sampler: Sampler::Ancestral(Variance::Small),
        steps: Steps::Schedule(schedule.clone()),
        ..Default::default()
    };
    let n = 40_000;
    let x = sample(&normal.denoiser(&[1]).unwrap(), n, &config)
        .unwrap()
        .x;
    let x: Vec<f64> = x
        .flatten_all()
        .unwrap()
        .to_dtype(candle::DType::F64)
        .unwrap()
        .to_vec1()
        .unwrap();
    // x̂ = λY/(1 + γλ) at the last step, and Y by the recursion.
    let snr = schedule.snr();
    let start = snr[0] * snr[0] * 4.0 + snr[0];
    let end = snr.windows(2).fold(start, |v, pair| {
        let step = pair[1] - pair[0];
        (1.0 + 4.0 * step / (1.0 + pair[0] * 4.0)).powi(2) * v + step
    });
    let last = snr[snr.len() - 1];
    let known = end * (4.0 / (1.0 + 4.0 * last)).powi(2);
    let found = stats::variance(&x);
    assert!(
        (found / known - 1.0).abs() < 4.0 * (2.0 / n as f64).sqrt(),
        "{found} {known}"
    );
    let (output, path) = (
        output_divergence(&normal, &snr).unwrap(),
        path_divergence(&normal, &snr).unwrap().total.nats,
    );
    assert!(output > 0.0 && output < path, "{output} {path}");
}

#[test]
fn what_are_no_steps_is_refused() {
    let normal = Gaussian::standard(1).unwrap();
    for bad in [
        &[][..],
        &[1.0],
        &[1.0, 1.0],
        &[2.0, 1.0],
        &[-1.0, 1.0],
        &[0.0, f64::NAN],
        &[0.0, f64::INFINITY],
    ] {
        assert!(path_divergence(&normal, bad).is_err(), "{bad:?}");
        assert!(output_divergence(&normal, bad).is_err(), "{bad:?}");
    }
    for (count, range) in [
        (0, (0.0, 1.0)),
        (5, (1.0, 1.0)),
        (5, (-1.0, 1.0)),
        (5, (0.0, f64::NAN)),
        (5, (0.0, f64::INFINITY)),
        (usize::MAX, (0.0, 1.0)),
    ] {
        assert!(
            optimal_steps(&normal, count, range).is_err(),
            "{count} {range:?}"
        );
        assert!(
            asymptotic_steps(&normal, count, range).is_err(),
            "{count} {range:?}"
        );
    }
    // Ends between which so many steps are one and the same number.
    for (count, above) in [(5, 1e-13), (100, 1e-11)] {
        let error = optimal_steps(&normal, count, (1.0, 1.0 + above)).unwrap_err();
        assert!(error.to_string().contains("further apart"), "{error}");
    }
    let curve = normal
        .curve(&Quadrature::trapezoid(-3.0, 3.0, 20).unwrap())
        .unwrap();
    for snr in [[0.0, 1.0], [1.0, 100.0]] {
        let error = path_divergence(&curve, &snr).unwrap_err().to_string();
        assert!(error.contains("a curve from"), "{error}");
    }
    let error = optimal_steps(&curve, 4, (0.0, 1.0))
        .unwrap_err()
        .to_string();
    assert!(error.contains("where the curve begins"), "{error}");
}

/// Four letters, of which each depends on the four before it: the truth is a table.
#[test]
fn log_probabilities_without_time() {
    let mut rng = rng::seeded(5);
    let chain = MarkovChain::random((16, 4, 4), 0.4, &mut rng).unwrap();
    let x = chain.sample(&mut rng);
    // 2^10 sets, with six letters given.
    let given: Vec<bool> = (0..16).map(|i| i < 6).collect();
    let exact = order_nll_exact(&chain, &x, Some(&given)).unwrap();
    let table = chain.log_marginal(&x, &given).unwrap() - chain.log_prob(&x).unwrap();
    assert!((exact - table).abs() < 1e-10, "{exact} {table}");
    let x: Vec<Vec<u32>> = (0..60).map(|_| chain.sample(&mut rng)).collect();
    let known: Vec<f64> = x.iter().map(|x| -chain.log_prob(x).unwrap()).collect();
    let found = order_nll(&chain, &x, None, 8, 0).unwrap();
    println!("{found}, by the table {:.3}", stats::mean(&known));
    assert!(found.within(stats::mean(&known), 4.0).holds);
    assert_eq!(chain.length(), 16);
    // The error is that of the samples' own values and of the sets: the sets alone, on one sequence.
    let again: Vec<f64> = (0..100)
        .map(|seed| order_nll(&chain, &x[..1], None, 4, seed).unwrap().nats)
        .collect();
    let (mean, err) = (stats::mean(&again), stats::std_err(&again));
    assert!(
        (mean - known[0]).abs() < 4.0 * err,
        "{mean} ± {err}, {}",
        known[0]
    );
}

/// On circles, spheres and rolls the plateau of the curve counts the directions.
#[test]
fn the_plateau_counts_the_directions() {
    // The posterior of the angle is a von Mises, so x̂ = z/|z| · I₁(κ)/I₀(κ), κ = √σ(α)|z|/σ(−α): for large κ 1 − 1/2κ.
    let circle = |dim: usize| {
        FnDenoiser::new(&[dim], Parametrization::X0, move |query| {
            let z = query.z.to_dtype(candle::DType::F64)?;
            let (signal, noise) =
                channel::amplitudes(&query.log_snr.to_dtype(candle::DType::F64)?, &z)?;
            let length = z.sqr()?.sum_keepdim(1)?.sqrt()?;
            let kappa = (signal.broadcast_mul(&length)? / noise.sqr()?)?;
            // (dim − 1)/2κ to first order, which is enough on the plateau.
            let shrink = kappa.recip()?.affine(-0.5 * (dim - 1) as f64, 1.0)?;
            Ok(z.broadcast_div(&length)?
                .broadcast_mul(&shrink)?
                .to_dtype(query.z.dtype())?)
        })
    };
    for dim in [2usize, 3] {
        let x = rng::normal(&[200, dim], &mut rng::seeded(dim as u64)).unwrap();
        let x = x
            .broadcast_div(&x.sqr().unwrap().sum_keepdim(1).unwrap().sqrt().unwrap())
            .unwrap();
        let data = Dataset::new("sphere", x).unwrap();
        let points = Quadrature::trapezoid(5.0, 9.0, 33).unwrap();
        let curve = mse_curve(&circle(dim), &data, &points).unwrap();
        let found = curve.local_dimension((5.0, 9.0)).unwrap();
        println!(
            "{dim}: {} ± {}, rises by {} ± {}",
            found.mean, found.mean_err, found.rise, found.rise_err
        );
        let truth = (dim - 1) as f64;
        assert!(
            (found.mean - truth).abs() < 4.0 * found.mean_err + 0.01,
            "{found:?}"
        );
        assert!(found.rise.abs() < 4.0 * found.rise_err + 0.01);
        let z = std::iter::zip(&found.per_sample, &found.std_err)
            .map(|(d, e)| ((d - truth) / e).powi(2));
        let z = z.sum::<f64>() / 200.0;
        assert!(z < 2.0, "{z}");
        assert!(curve.local_dimension((20.0, 30.0)).is_err());
    }
    let exact = Gaussian::standard(2)
        .unwrap()
        .curve(&Quadrature::trapezoid(4.0, 9.0, 9).unwrap())
        .unwrap();
    assert!(exact.local_dimension((4.0, 9.0)).is_err());
}
