//! What a stopped loop leaves behind. One test in a process of its own: the flag is the whole process's.

mod files;
#[cfg(feature = "hub")]
mod server;

use std::cell::Cell;

use itd_prelude::cell;
use itd_prelude::data::{Form, pictures};
use itd_prelude::denoiser::{FnDenoiser, Parametrization};
use itd_prelude::error::{Error, Interrupted};
use itd_prelude::prelude::*;
use itd_prelude::sample::{Derivative, OdeNll, Samples};
use itd_prelude::train::Fit;

fn stopped<T: std::fmt::Debug>(result: Result<T>) -> Interrupted {
    match result {
        Err(Error::Interrupted(stopped)) => stopped,
        other => panic!("it should have been stopped: {other:?}"),
    }
}

fn parameters(net: &Mlp) -> Vec<f32> {
    use itd_prelude::denoiser::Trainable;
    let vars = net.vars().into_iter();
    vars.flat_map(|var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .collect()
}

#[test]
fn stopped_loops_return_what_they_have() {
    let data = moons(2000, 0).unwrap();
    let config = MlpConfig {
        width: 16,
        layers: 1,
        ..Default::default()
    };
    let net = Mlp::new(&config, &Spectrum::standard(2).unwrap(), &[2], &Device::Cpu).unwrap();
    let before = parameters(&net);

    cell::interrupt();
    let training = stopped(train(&net, &data.train, &TrainConfig::default()));
    assert_eq!((training.what.as_str(), training.done), ("training", 1));
    assert!(training.planned > 100);
    let fit: Fit = training.partial().expect("the fit so far");
    assert_eq!(fit.losses.len(), 1);
    assert_ne!(
        parameters(&net),
        before,
        "the network keeps what it has learned"
    );

    // With a folder it goes on from there, and ends where training ends that nobody stopped.
    let folder = files::Folder::new("stopped-run");
    let fresh = || Mlp::new(&config, &Spectrum::standard(2).unwrap(), &[2], &Device::Cpu).unwrap();
    let settings = |run| TrainConfig {
        steps: Some(20),
        run,
        ..Default::default()
    };
    let run = settings(Some(folder.0.clone()));
    let training = stopped(train(&fresh(), &data.train, &run));
    assert_eq!((training.done, training.planned), (1, 20));
    cell::begin(file!());
    let (whole, parts) = (fresh(), fresh());
    let known = train(&whole, &data.train, &settings(None)).unwrap();
    let fit = train(&parts, &data.train, &run).unwrap();
    assert_eq!(fit.losses, known.losses);
    assert_eq!(parameters(&parts), parameters(&whole));
    cell::interrupt();

    // A curve of many points is measured a few samples at a time; those that are whole are kept.
    let points = LogisticLogSnr::new(0.0, 2.0, 4.0)
        .unwrap()
        .quadrature(100)
        .unwrap();
    let measuring = stopped(mse_curve(&net, &data.train, &points));
    assert_eq!(measuring.done, 1);

    // A shard is whole or not there.
    let (parts, shard) = (files::Folder::new("stopped"), Shard::new(1, 2).unwrap());
    let measure = || {
        let config = CurveConfig::default();
        mse_curve_shard_to(&parts.0, &net, &data.train, &points, &config, shard, 0)
    };
    let measuring = stopped(measure());
    assert_eq!(measuring.what, "measuring errors, shard 1 of 2");
    assert!(measuring.partial::<PartialCurve>().is_none());
    assert_eq!(std::fs::read_dir(&parts.0).unwrap().count(), 0);

    // A covariance of many dimensions listens too; one of few is over before anybody could ask.
    let wide = rng::normal(&[20, 2000], &mut rng::seeded(0)).unwrap();
    let adding = stopped(Spectrum::from_samples(&wide));
    assert_eq!((adding.what.as_str(), adding.done), ("covariance", 1));
    assert!(data.test.spectrum().is_ok());
    // Reading many pictures stops as well.
    let folder = files::Folder::new("interrupt");
    folder.write("cat_1.png", &files::png(&[1, 2], [1, 1, 2]));
    let reading = stopped(pictures::folder(&folder.0, &Form::default()));
    assert_eq!((reading.done, reading.planned), (0, 1));
    // Nor need one wait for eigenvalues that are on their way.
    cell::begin(file!());
    let asked = std::thread::spawn(|| {
        std::thread::sleep(std::time::Duration::from_millis(400));
        cell::interrupt();
    });
    let wider = rng::normal(&[20, 3000], &mut rng::seeded(0)).unwrap();
    let solving = stopped(Spectrum::from_samples(&wider));
    assert_eq!((solving.done, solving.planned), (1, 2));
    asked.join().unwrap();

    // A server that has gone silent is no reason to wait; what it sent stays.
    #[cfg(feature = "hub")]
    silent_server(&folder.0);
    // Of samples, and of the ODE's densities, the batches that are finished are kept.
    let (asked, stop) = (Cell::new(0), Cell::new(30));
    let watched = FnDenoiser::new(&[2], Parametrization::Eps, |query| {
        asked.set(asked.get() + 1);
        if asked.get() == stop.get() {
            cell::interrupt();
        }
        net.denoise(query)
    });
    cell::begin(file!());
    let config = SampleConfig {
        sampler: Sampler::Ddim { eta: 0.0 },
        steps: Steps::even(20),
        batch: 3,
        ..Default::default()
    };
    let drawing = stopped(sample(&watched, 10, &config, &mut rng::seeded(0)));
    assert_eq!((drawing.done, drawing.planned), (30, 80));
    let samples: Samples = drawing.partial().expect("the first batch");
    assert_eq!(samples.len(), 3);
    cell::begin(file!());
    // 6 looks of 3 evaluations and 5 steps of 3 more: 33 a batch.
    asked.set(0);
    stop.set(40);
    let config = OdeConfig {
        steps: 5,
        trace: Trace::Rademacher(1),
        derivative: Derivative::Difference,
        batch: 20,
        ..Default::default()
    };
    let data_30 = data.test.take(30).unwrap();
    let following = stopped(ode_nll(&watched, &data_30, &config, &mut rng::seeded(0)));
    assert_eq!(following.planned, 12);
    let nll: OdeNll = following.partial().expect("the first batch");
    assert_eq!((nll.nats.len(), nll.mean.n), (20, 20));

    // The next cell is not concerned.
    cell::begin(file!());
    assert!(measure().is_ok() && parts.0.join(shard.file_name()).exists());
    assert!(mse_curve(&net, &data.train.take(100).unwrap(), &points).is_ok());
    assert!(pictures::folder(&folder.0, &Form::default()).is_ok());
}

#[cfg(feature = "hub")]
fn silent_server(folder: &std::path::Path) {
    let server = server::Server::start(server::State::default());
    let file = (vec![7u8; 5000], Some("\"tag\"".to_owned()));
    server.set(|state| {
        state.files.insert("/net.pt".into(), file);
        state.silent = Some(1000);
    });
    let (url, place) = (format!("{}/net.pt", server.address), folder.join("net.pt"));
    let part = folder.join("net.pt.part");
    let hub = itd_prelude::hub::Hub::new("http://127.0.0.1:1", None);
    cell::begin(file!());
    let written = part.clone();
    let asked = std::thread::spawn(move || {
        while std::fs::metadata(&written).map_or(0, |meta| meta.len()) < 1000 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        cell::interrupt();
    });
    let downloading = stopped(hub.fetch_url(&url, &place));
    assert_eq!((downloading.done, downloading.planned), (1000, 5000));
    asked.join().unwrap();
    assert_eq!(std::fs::metadata(&part).unwrap().len(), 1000);
    server.set(|state| state.silent = None);
    cell::begin(file!());
    hub.fetch_url(&url, &place).unwrap();
    assert_eq!(server.asked()[1], "/net.pt from 1000");
}
