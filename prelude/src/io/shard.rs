//! Shards of a curve as files.

use std::fs;
use std::path::Path;

use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use super::columns::{Columns, whole};
use super::curve::{name, rule};
use super::{FromFrame, ToFrame, malformed, of_file, read, write};
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::logsnr::LogSnr;
use crate::mmse::{
    CurveConfig, MseCurve, PartialCurve, Run, Shard, ShardBy, merge_shards, shard_unless,
};

/// All cuts; what is missing here cannot be read.
const CUTS: [ShardBy; 3] = [ShardBy::Both, ShardBy::Images, ShardBy::Alphas];

fn cut(by: ShardBy) -> &'static str {
    match by {
        ShardBy::Both => "both",
        ShardBy::Images => "images",
        ShardBy::Alphas => "alphas",
    }
}

impl ToFrame for PartialCurve {
    /// One row for each point, see [`PartialCurve`].
    fn to_frame(&self) -> Result<DataFrame> {
        self.check()?;
        let Self { run, shard, .. } = self;
        let k = run.points.len();
        let float = |name: &str, values: &[f64]| Column::new(name.into(), values);
        let text = |name: &str, value: &str| Column::new(name.into(), vec![value; k]);
        let same = |name, value| whole(name, &vec![value; k]);
        let lists = |name: &str, lists: &mut dyn Iterator<Item = &[f64]>| {
            let lists: Vec<Series> = lists.map(|list| Series::new("".into(), list)).collect();
            Column::new(name.into(), lists)
        };
        // Without a clamp both ends are NaN.
        let (low, high) = run.clamp.unwrap_or((f64::NAN, f64::NAN));
        let columns = vec![
            same("shard", shard.index)?,
            same("shards", shard.count)?,
            text("by", cut(shard.by)),
            whole("point", &(0..k).collect::<Vec<_>>())?,
            float("log_snr", &run.points.log_snr),
            float("weight", &run.points.weight),
            whole("first", &self.first())?,
            lists("error", &mut self.error.iter().map(Vec::as_slice)),
            lists("noise", &mut self.noise.iter().map(Vec::as_slice)),
            text("rule", name(run.points.rule)),
            float("low", &vec![run.points.interval.0; k]),
            float("high", &vec![run.points.interval.1; k]),
            same("points", k)?,
            same("n", run.n)?,
            same("dim", run.dim)?,
            same("draws", run.draws)?,
            same("batch", run.batch)?,
            float("clamp_low", &vec![low; k]),
            float("clamp_high", &vec![high; k]),
            text("data", &run.data),
            text("key", &run.key),
            lists("probe", &mut std::iter::repeat_n(run.probe.as_slice(), k)),
        ];
        let frame = DataFrame::new(k, columns)?;
        // What cannot be read must not be written.
        Self::from_frame(&frame).map(|_| frame)
    }
}

impl FromFrame for PartialCurve {
    fn from_frame(frame: &DataFrame) -> Result<Self> {
        let columns = Columns(frame);
        let k = columns.same("points", columns.counts("points")?)?;
        let count = |name| columns.same(name, columns.counts(name)?);
        let float = |name| columns.same(name, columns.finite(name)?);
        let text = |name| columns.same(name, columns.texts(name)?);
        if !columns.counts("point")?.into_iter().eq(0..k) {
            return Err(malformed(format!(
                "the column point must count from 0 to {k}, the number of points"
            )));
        }
        let by = text("by")?;
        let by = CUTS
            .into_iter()
            .find(|&known| cut(known) == by)
            .ok_or_else(|| {
                malformed(format!(
                    "there is no cut by {by:?}, only {:?}",
                    CUTS.map(cut)
                ))
            })?;
        let ends = |name| columns.floats(name, "a number, or NaN without a clamp", |_| true);
        // Bits, since NaN is not the same as NaN.
        let end = |name| {
            let bits = ends(name)?.into_iter().map(f64::to_bits).collect();
            columns.same(name, bits).map(f64::from_bits)
        };
        let clamp = match (end("clamp_low")?, end("clamp_high")?) {
            (low, high) if low.is_nan() && high.is_nan() => None,
            (low, high) if low < high => Some((low, high)),
            (low, high) => {
                return Err(malformed(format!("there is no clamp from {low} to {high}")));
            }
        };
        let probe = columns.same("probe", columns.sums("probe")?)?;
        let probe = <[f64; 3]>::try_from(probe)
            .map_err(|probe| malformed(format!("the probe has {} values, not 3", probe.len())))?;
        let points = LogSnr {
            log_snr: columns.finite("log_snr")?,
            weight: columns.finite("weight")?,
            rule: rule(&text("rule")?)?,
            interval: (float("low")?, float("high")?),
        };
        let part = Self {
            run: Run {
                points,
                n: count("n")?,
                dim: count("dim")?,
                draws: count("draws")?,
                batch: count("batch")?,
                clamp,
                data: text("data")?,
                key: text("key")?,
                probe,
            },
            shard: Shard {
                index: count("shard")?,
                count: count("shards")?,
                by,
            },
            error: columns.sums("error")?,
            noise: columns.sums("noise")?,
            file: None,
        };
        part.check()?;
        match columns.counts("first")? == part.first() {
            true => Ok(part),
            false => Err(malformed(
                "the column first does not name the samples of this shard",
            )),
        }
    }
}

impl PartialCurve {
    /// Writes the shard to a Parquet file, see [`io::write`](write()).
    ///
    /// # Errors
    /// As [`io::write`](write()).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path, self)
    }

    /// Reads a shard that [`Self::save`] wrote, and remembers where it was.
    ///
    /// # Errors
    /// As [`io::read`](read); [`Error::File`] also when the file holds something else.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let part: Self = read(path)?;
        let file = Some(path.to_owned());
        Ok(Self { file, ..part })
    }
}

/// Measures one shard of a curve into a folder, which is made; [`merge_folder`] makes the curve of them.
///
/// The file, [`Shard::file_name`], appears when the shard is whole. Where it is there already, and belongs to the
/// same run, nothing is measured: after a failure the same command goes on with what is missing.
///
/// # Errors
/// As [`mse_curve_shard`](crate::mmse::mse_curve_shard); [`Error::File`] when the folder cannot be written to, or
/// what has the file's name is damaged; [`Error::Mismatch`] when it belongs to another run. It is unchanged then.
///
/// # Example: a shard that is there is not measured again
/// ```
/// use itd_prelude::{data::{self, Spectrum}, io, logsnr::LogSnr, net::exact::Gaussian};
/// use itd_prelude::mmse::{CURVE_SEED, CurveConfig, Shard};
///
/// let folder = std::env::temp_dir().join(format!("itd-shards-{}", std::process::id()));
/// let (data, net) = (data::scg(100, 0)?.test, Gaussian::new(&Spectrum::standard(2)?, &[2])?);
/// let (alphas, config) = (LogSnr::trapezoid(-4.0, 4.0, 9)?, CurveConfig { batch: 10, ..Default::default() });
/// for shard in [Shard::new(1, 2)?, Shard::new(2, 2)?, Shard::new(1, 2)?] {
///     io::mse_curve_shard_to(&folder, &net, &data, &alphas, &config, shard, CURVE_SEED)?;
/// }
/// assert_eq!(io::merge_folder(&folder)?.n, data.len());
/// # let _ = std::fs::remove_dir_all(folder);
/// # Ok::<(), itd_prelude::Error>(())
/// ```
pub fn mse_curve_shard_to(
    folder: impl AsRef<Path>,
    net: &dyn Denoiser,
    data: &Dataset,
    points: &LogSnr,
    config: &CurveConfig,
    shard: Shard,
    seed: u64,
) -> Result<PartialCurve> {
    let folder = folder.as_ref();
    let path = folder.join(shard.file_name());
    let kept = |run: &Run| {
        // Hours of work should not end at a folder that cannot be.
        fs::create_dir_all(folder).map_err(|error| of_file(folder, error))?;
        if !path.try_exists().map_err(|error| of_file(&path, error))? {
            return Ok(None);
        }
        let kept = PartialCurve::load(&path)?;
        kept.check_run(run, &shard, "what is to be measured")?;
        match kept.shard == shard {
            true => Ok(Some(kept)),
            false => Err(of_file(
                &path,
                malformed(format!("it holds shard {}, not {shard}", kept.shard)),
            )),
        }
    };
    let part = shard_unless(net, data, points, config, shard, seed, kept)?;
    if part.file.is_none() {
        part.save(&path)?;
    }
    let file = Some(path);
    Ok(PartialCurve { file, ..part })
}

/// The curve of all shards in a folder: the files `part-…-of-….parquet`.
///
/// # Errors
/// [`Error::File`] when the folder or a file in it cannot be read, [`Error::Missing`] when there are no parts in it;
/// as [`merge_shards`] otherwise, with the names of the files.
pub fn merge_folder(folder: impl AsRef<Path>) -> Result<MseCurve> {
    let folder = folder.as_ref();
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.map_err(|error| of_file(folder, error))?;
    let mut paths: Vec<_> = entries
        .into_iter()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("part-") && name.contains("-of-") && name.ends_with(".parquet")
        })
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    match paths.is_empty() {
        true => Err(Error::Missing {
            what: format!("there are no parts of a curve in {}", folder.display()),
            next: "measure them with `mse_curve_shard_to`",
        }),
        false => merge_files(&paths),
    }
}

/// As [`merge_folder`], of the files with these names.
///
/// # Errors
/// As [`merge_folder`].
pub fn merge_files(paths: &[impl AsRef<Path>]) -> Result<MseCurve> {
    let parts: Result<Vec<_>> = paths.iter().map(PartialCurve::load).collect();
    merge_shards(parts?)
}
