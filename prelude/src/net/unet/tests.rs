use super::*;
use crate::data::Condition;
use crate::denoiser::Conditional;
use crate::rng;

fn net(config: UNetConfig, shape: &[usize]) -> UNet {
    UNet::new(&config, shape, &Device::Cpu).unwrap()
}

/// A small one of two levels, with attention.
fn tiny() -> UNetConfig {
    UNetConfig {
        channels: vec![8, 16],
        heads: 2,
        groups: 4,
        ..UNetConfig::small()
    }
}

/// Gives all parameters other numbers, as training does: then nothing is 0 any more.
fn stir(net: &UNet, seed: u64) {
    let mut rng = rng::seeded(seed);
    for var in net.vars() {
        let fan = (var.elem_count() / var.dims()[0]).max(4) as f64;
        let noise = (rng::normal(var.dims(), &mut rng).unwrap() / fan.sqrt()).unwrap();
        var.set(&(var.as_tensor() + noise).unwrap()).unwrap();
    }
}

fn draw(n: usize, shape: &[usize], seed: u64) -> (Tensor, Tensor) {
    let mut rng = rng::seeded(seed);
    let z = rng::normal(&[&[n], shape].concat(), &mut rng).unwrap();
    let alpha = (rng::normal(&[n], &mut rng).unwrap() * 3.0).unwrap();
    (z, alpha)
}

fn apart(a: &Tensor, b: &Tensor) -> f32 {
    let gap = (a - b).unwrap().abs().unwrap();
    gap.max_all().unwrap().to_scalar().unwrap()
}

#[test]
fn sizes_are_as_told() {
    let digits = net(UNetConfig::small(), &[1, 8, 8]).parameters();
    assert!((100_000..=300_000).contains(&digits), "{digits}");
    let fashion = net(UNetConfig::medium(), &[1, 28, 28]).parameters();
    assert!((1_000_000..=1_500_000).contains(&fashion), "{fashion}");
}

#[test]
fn an_untrained_network_is_the_denoiser_of_an_isotropic_gaussian() {
    for data_std in [0.5, 2.0] {
        let config = UNetConfig { data_std, ..tiny() };
        let net = net(config, &[2, 5, 3]);
        let (z, _) = draw(6, &[2, 5, 3], 0);
        let alphas = [-25.0f32, -6.0, 0.0, 3.0, 9.0, 25.0];
        let eps = net.denoise(&Query::new(
            &z,
            &Tensor::new(&alphas, &Device::Cpu).unwrap(),
        ));
        let eps = eps.unwrap().flatten_from(1).unwrap().to_vec2::<f32>();
        let z = z.flatten_from(1).unwrap().to_vec2::<f32>().unwrap();
        for ((eps, z), alpha) in eps.unwrap().iter().zip(&z).zip(alphas) {
            // E[ε | z] = √σ(−α) z / (σ(α)s² + σ(−α))
            let noise = 1.0 / (1.0 + f64::from(alpha).exp());
            let gain = noise.sqrt() / ((1.0 - noise) * data_std * data_std + noise);
            for (eps, z) in eps.iter().zip(z) {
                assert!(
                    (f64::from(*eps) - gain * f64::from(*z)).abs() < 1e-5,
                    "{alpha}"
                );
            }
        }
    }
}

#[test]
fn any_size_will_do() {
    let three = UNetConfig {
        channels: vec![4, 8, 8],
        groups: 4,
        blocks: 2,
        attention: vec![0, 2],
        heads: 2,
        ..UNetConfig::small()
    };
    for shape in [[1, 1, 1], [3, 5, 7], [2, 9, 4], [1, 28, 28], [2, 1, 6]] {
        let net = net(three.clone(), &shape);
        stir(&net, 1);
        let (z, alpha) = draw(2, &shape, 2);
        let eps = net.forward(&Query::new(&z, &alpha)).unwrap();
        assert_eq!(eps.dims(), z.dims());
        assert_eq!(net.shape(), shape);
        let grads = eps.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        for (name, var) in &net.net.parameters {
            let grad = grads
                .get(var)
                .unwrap_or_else(|| panic!("{name} has no gradient"));
            assert_eq!(grad.dims(), var.dims());
            assert!(apart(grad, &grad.zeros_like().unwrap()).is_finite());
        }
    }
}

#[test]
fn samples_do_not_see_each_other_and_parts_are_put_together() {
    let net = net(
        UNetConfig {
            condition: Some(ConditionKind::Class { classes: 3 }),
            ..tiny()
        },
        &[1, 31, 29],
    );
    stir(&net, 3);
    let part = PART / (8 * 31 * 29);
    let n = 2 * part + 3;
    let (z, alpha) = draw(n, &[1, 31, 29], 4);
    let query = told(&z, &alpha, (0..n as u32).map(|i| i % 4).collect(), 3);
    let whole = net.denoise(&query).unwrap();
    assert!(apart(&whole, &net.forward(&query).unwrap()) < 1e-4);
    for i in [0, 1, part, n - 1] {
        let alone = net.denoise(&query.narrow(i, 1).unwrap()).unwrap();
        assert!(apart(&alone, &whole.narrow(0, i, 1).unwrap()) < 1e-4, "{i}");
    }
}

#[test]
fn what_is_moved_comes_out_moved() {
    // On one level and without attention, away from the rim, a network of convolutions has no fixed places.
    let config = UNetConfig {
        channels: vec![4],
        groups: 2,
        attention: vec![],
        ..UNetConfig::small()
    };
    let side = 56;
    let net = net(config, &[1, side, side]);
    stir(&net, 5);
    let object = rng::normal(&[1, 1, 3, 3], &mut rng::seeded(6)).unwrap();
    let at = |row: usize, column: usize| {
        let (below, right) = (side - row - 3, side - column - 3);
        let padded = object.pad_with_zeros(2, row, below).unwrap();
        padded.pad_with_zeros(3, column, right).unwrap()
    };
    let alpha = Tensor::new(&[1f32], &Device::Cpu).unwrap();
    let seen = |row, column| {
        let eps = net.denoise(&Query::new(&at(row, column), &alpha)).unwrap();
        let window = eps.narrow(2, row - 11, 25).unwrap();
        window.narrow(3, column - 11, 25).unwrap()
    };
    let (here, there) = (seen(24, 24), seen(27, 25));
    assert!(apart(&here, &there) < 1e-4, "{}", apart(&here, &there));
    assert!(apart(&here, &here.zeros_like().unwrap()) > 0.1);
}

#[test]
fn frozen_and_learning_network_are_one() {
    let net = net(tiny(), &[1, 6, 6]);
    let (z, alpha) = draw(3, &[1, 6, 6], 7);
    let before = net.denoise(&Query::new(&z, &alpha)).unwrap();
    stir(&net, 8);
    let after = net.denoise(&Query::new(&z, &alpha)).unwrap();
    assert!(apart(&before, &after) > 1e-3);
    assert_eq!(
        apart(&after, &net.forward(&Query::new(&z, &alpha)).unwrap()),
        0.0
    );
    // Without the parameters' gradient, but with that of z.
    let z = Var::from_tensor(&z).unwrap();
    let grads = net
        .denoise(&Query::new(&z, &alpha))
        .unwrap()
        .sum_all()
        .unwrap();
    let grads = grads.backward().unwrap();
    assert!(grads.get(&z).is_some());
    assert!(net.vars().iter().all(|var| grads.get(var).is_none()));
}

#[test]
fn only_the_labels_that_are_told_get_a_gradient() {
    let net = net(
        UNetConfig {
            condition: Some(ConditionKind::Class { classes: 4 }),
            ..tiny()
        },
        &[1, 4, 4],
    );
    stir(&net, 9);
    let (z, alpha) = draw(3, &[1, 4, 4], 10);
    let (_, table) = net
        .net
        .parameters
        .iter()
        .find(|(name, _)| name == "condition.weight")
        .unwrap();
    let moved = |labels: Option<&[u32]>| -> Vec<bool> {
        let query = match labels {
            Some(labels) => told(&z, &alpha, labels.to_vec(), 4),
            None => Query::new(&z, &alpha),
        };
        let eps = net.forward(&query).unwrap();
        let grads = eps.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let rows = grads.get(table).unwrap().abs().unwrap().sum(1).unwrap();
        rows.to_vec1::<f32>()
            .unwrap()
            .iter()
            .map(|&g| g > 0.0)
            .collect()
    };
    assert_eq!(moved(Some(&[1, 3, 1])), [false, true, false, true, false]);
    assert_eq!(moved(Some(&[4, 4, 0])), [true, false, false, false, true]);
    assert_eq!(moved(None), [false, false, false, false, true]);
}

#[test]
fn a_class_that_is_told_and_guidance_are_what_they_say() {
    let net = net(
        UNetConfig {
            condition: Some(ConditionKind::Class { classes: 2 }),
            ..tiny()
        },
        &[1, 4, 4],
    );
    stir(&net, 11);
    let (z, alpha) = draw(3, &[1, 4, 4], 12);
    let with = net.denoise(&told(&z, &alpha, vec![1; 3], 2)).unwrap();
    let without = net.denoise(&Query::new(&z, &alpha)).unwrap();
    let class = |class| Conditional::class(net.clone(), class);
    let given = class(1).unwrap();
    assert_eq!(
        apart(&given.denoise(&Query::new(&z, &alpha)).unwrap(), &with),
        0.0
    );
    assert!(apart(&with, &without) > 1e-3);
    let guided = |w| {
        class(1)
            .unwrap()
            .guided(w)
            .unwrap()
            .denoise(&Query::new(&z, &alpha))
            .unwrap()
    };
    assert!(apart(&guided(0.0), &with) < 1e-6);
    assert!(apart(&guided(-1.0), &without) < 1e-6);
    let known = ((&with * 3.0).unwrap() - (&without * 2.0).unwrap()).unwrap();
    assert!(apart(&guided(2.0), &known) < 1e-5);
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = |shape: &[usize]| UNet::new(&tiny(), shape, &Device::Cpu);
    for shape in [
        &[64][..],
        &[8, 8],
        &[0, 8, 8],
        &[1, 8, 8, 1],
        &[1 << 20; 3],
        &[usize::MAX; 3],
    ] {
        let error = new(shape).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    }
    let plain = new(&[1, 4, 4]).unwrap();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    for (z, alpha) in [
        (zeros(&[2, 1, 4, 4]), zeros(&[3])),
        (zeros(&[2, 1, 4, 4]), zeros(&[2, 1])),
        (zeros(&[2, 1, 2, 8]), zeros(&[2])),
        (zeros(&[0, 1, 4, 4]), zeros(&[0])),
    ] {
        let error = plain.denoise(&Query::new(&z, &alpha)).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    }
    assert!(matches!(
        Conditional::class(&plain, 0),
        Err(Error::Mismatch { .. })
    ));
    let net = net(
        UNetConfig {
            condition: Some(ConditionKind::Class { classes: 2 }),
            ..tiny()
        },
        &[1, 4, 4],
    );
    assert!(Conditional::class(&net, 2).is_err());
    assert!(
        Conditional::class(&net, 1)
            .unwrap()
            .guided(f64::NAN)
            .is_err()
    );
    let (z, alpha) = draw(2, &[1, 4, 4], 0);
    for labels in [&[2u32, 0][..], &[0], &[0, 0, 0]] {
        let query = Query::new(&z, &alpha).given(Condition::Class(labels.to_vec()));
        assert!(net.denoise(&query).is_err());
        assert!(net.forward(&query).is_err());
        assert!(plain.denoise(&query).is_err() && plain.forward(&query).is_err());
    }
}

/// A query that is told classes; the number of classes stands for one that is not told.
fn told(z: &Tensor, alpha: &Tensor, labels: Vec<u32>, classes: u32) -> Query {
    let told = labels.iter().map(|&label| label < classes).collect();
    let labels = labels.into_iter().map(|label| label % classes).collect();
    Query::new(z, alpha)
        .given(Condition::Class(labels))
        .told(told)
}

/// The tape and candle's graph: the same gradients, with and without classes.
#[test]
fn gradients_are_those_of_candles_graph() {
    let (three, pairs) = (
        ConditionKind::Class { classes: 3 },
        ConditionKind::Vector { dim: 2 },
    );
    for (condition, shape) in [
        (None, [2, 7, 6]),
        (Some(three), [1, 8, 8]),
        (Some(pairs), [1, 4, 5]),
    ] {
        let config = UNetConfig {
            condition,
            ..tiny()
        };
        let net = net(config, &shape);
        stir(&net, 5);
        let n = LEAST + 3; // in two parts
        let (z, alpha) = draw(n, &shape, 6);
        let query = match condition {
            Some(ConditionKind::Class { .. }) => {
                told(&z, &alpha, (0..n as u32).map(|i| i * 7 % 4).collect(), 3)
            }
            Some(ConditionKind::Vector { dim }) => {
                let y = rng::normal(&[n, dim], &mut rng::seeded(8)).unwrap();
                let query = Query::new(&z, &alpha).given(Condition::vectors(&y).unwrap());
                query.told((0..n).map(|i| i % 3 > 0).collect())
            }
            None => Query::new(&z, &alpha),
        };
        let (weights, _) = draw(n, &shape, 7);
        let estimate = net.forward(&query).unwrap();
        let slope = |first, eps: &Tensor| {
            let some = |t: &Tensor| t.narrow(0, first, eps.dim(0)?);
            assert!(apart(eps, &some(&estimate)?) < 1e-5);
            Ok(some(&weights)?)
        };
        let fast = net.gradients(&query, &slope).unwrap();
        let slow = by_graph(&net, &query, &slope).unwrap();
        assert_eq!(fast.len(), slow.len());
        let mut largest = 0.0f32;
        for ((fast, slow), (name, _)) in fast.iter().zip(&slow).zip(&net.net.parameters) {
            let (fast, slow) = (fast.as_ref().unwrap(), slow.as_ref().unwrap());
            let size = slow.abs().unwrap().max_all().unwrap();
            let size = size.to_scalar::<f32>().unwrap();
            largest = largest.max(size);
            assert!(apart(fast, slow) < 1e-4 * size.max(1e-2), "{name}");
        }
        assert!(largest > 0.1);
    }
}
