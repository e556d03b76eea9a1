//! What can be typed after `itd`. Declarations only.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::install::{NAME, Place};
use crate::notebook::Format;
use crate::notebook::parameters::Parameter;
use crate::prelude::Capability;

/// Information-theoretic diffusion in Rust notebooks.
#[derive(Debug, Parser)]
#[command(name = "itd", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The things that `itd` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Execute notebooks; write them back with their outputs, and an HTML page beside each
    Run(Run),
    /// Write notebooks as scripts, pages or Markdown, and scripts as notebooks, without executing them
    Convert(Convert),
    /// Make a site of notebooks and texts, with a search and lists of equations, figures and exercises
    Site(Site),
    /// Serve a Jupyter front end (which calls this by itself)
    Kernel {
        /// The file with ports and key that the front end wrote
        #[arg(short = 'f', long = "connection-file", value_name = "FILE")]
        connection_file: PathBuf,
        /// What `jupyter run FILE` and its like hand on, which is not for the kernel
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            hide = true,
            value_name = "ARGS"
        )]
        extra: Vec<String>,
    },
    /// Make editions of the notebooks for students and for those who teach, slides, and the table of reading times
    Course {
        #[command(subcommand)]
        command: CourseCommand,
    },
    /// Make the kernel known to Jupyter
    Install(Installation),
    /// Make Jupyter forget the kernel
    Uninstall(Installation),
    /// Open JupyterLab on the notebooks, in an environment of its own
    Lab {
        /// Arguments for JupyterLab
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        arguments: Vec<String>,
    },
    /// Explore in the terminal
    Repl,
    /// Download a published network, or list those that are known
    Fetch(Fetch),
    /// Show the tensors in a file of weights, and whether they fit a known network
    Inspect(Inspect),
    /// Compute the paper's tables and figures on CIFAR-10, stage by stage; goes on where the folder ends
    Reproduce {
        #[command(subcommand)]
        what: Reproduce,
    },
    /// Manage the prebuilt prelude
    Prelude {
        #[command(subcommand)]
        command: PreludeCommand,
    },
    /// Have evcxr's own REPL and evcxr_jupyter load the prelude when they start
    EvcxrConfig {
        /// Where their settings are; EVCXR_CONFIG_DIR, else the user's folder for settings + `/evcxr`
        #[arg(long, value_name = "FOLDER")]
        folder: Option<PathBuf>,
        /// Take it out again
        #[arg(long)]
        remove: bool,
    },
    /// Check all that a kernel needs, and say what is missing
    Doctor,
    /// Measure
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
}

/// `itd run`
#[derive(Debug, Args)]
pub struct Run {
    /// The notebooks, or percent scripts (.rs), from which notebooks are made
    #[arg(required = true, value_name = "NOTEBOOK")]
    pub notebooks: Vec<PathBuf>,
    /// Write the executed notebooks to this folder, made if missing, instead of over the originals
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
    /// What to write
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', default_values = ["ipynb", "html"])]
    pub to: Vec<Format>,
    /// Write no HTML page
    #[arg(long)]
    pub no_html: bool,
    /// Set a parameter, in place of what the cell tagged `parameters` declares; can be given again
    #[arg(short, long = "parameter", value_name = "NAME=VALUE")]
    pub parameters: Vec<Parameter>,
    /// Go on after a cell that fails, and write the notebook with its errors; the exit code is 1 all the same
    #[arg(long)]
    pub allow_errors: bool,
    /// Longest time of a cell
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Hold the outputs against those that are there, and write nothing unless there is --output-dir; the exit code is
    /// 1 when they differ
    #[arg(long)]
    pub check: bool,
    /// The relative difference that numbers may have with --check; else they are compared as they are written
    #[arg(long, value_name = "NUMBER", requires = "check")]
    pub tolerance: Option<f64>,
    /// How many notebooks run at once
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Print what the cells print
    #[arg(short, long)]
    pub verbose: bool,
}

impl Run {
    /// What is written.
    pub fn formats(&self) -> Vec<Format> {
        let wanted = |format: &&Format| !(self.no_html && **format == Format::Html);
        self.to.iter().filter(wanted).copied().collect()
    }

    /// The arguments of a run of one of the notebooks.
    pub fn arguments_of(&self, notebook: &Path) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec!["run".into(), "--to".into()];
        let formats: Vec<String> = self.to.iter().map(Format::to_string).collect();
        all.push(formats.join(",").into());
        if let Some(folder) = &self.output_dir {
            all.extend(["--output-dir".into(), folder.into()]);
        }
        for parameter in &self.parameters {
            all.extend(["-p".into(), parameter.to_string().into()]);
        }
        if let Some(timeout) = self.timeout {
            all.extend(["--timeout".into(), timeout.as_secs_f64().to_string().into()]);
        }
        if let Some(tolerance) = self.tolerance {
            all.extend(["--tolerance".into(), tolerance.to_string().into()]);
        }
        for (given, flag) in [
            (self.no_html, "--no-html"),
            (self.allow_errors, "--allow-errors"),
            (self.check, "--check"),
            (self.verbose, "--verbose"),
        ] {
            all.extend(given.then(|| flag.into()));
        }
        all.extend(["--".into(), notebook.into()]);
        all
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    let whole = seconds.filter(|seconds| *seconds > 0.0);
    let duration = whole.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "write a number of seconds above 0, as in 60".to_owned())
}

/// `itd convert`
#[derive(Debug, Args)]
pub struct Convert {
    /// Notebooks or percent scripts (.rs)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What to write, beside each file
    #[arg(long, required = true, value_name = "FORMATS", value_delimiter = ',')]
    pub to: Vec<Format>,
    /// Write to this folder, made if missing
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
}

/// `itd site`
#[derive(Debug, Args)]
pub struct Site {
    /// Notebooks (.ipynb), texts in Markdown (.md), and folders of them
    #[arg(value_name = "PATH", default_values = ["README.md", "notebooks", "docs"])]
    pub paths: Vec<PathBuf>,
    /// The folder of the site; one that `itd site` made is replaced, any other is left alone
    #[arg(short, long, value_name = "FOLDER", default_value = "site")]
    pub output: PathBuf,
    /// The title of the site
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "Information-Theoretic Diffusion"
    )]
    pub title: String,
    /// The address below which the repository's files are shown, for links to those that are not in the site
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<String>,
    /// Show the answers of exam problems, too, for a site that only those who teach can reach
    #[arg(long)]
    pub with_answers: bool,
    /// Make nothing; check that all links, pictures and search hits of the site in this folder lead somewhere
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["paths", "output", "source", "with_answers"])]
    pub check: Option<PathBuf>,
}

/// `itd course …`
#[derive(Debug, Subcommand)]
pub enum CourseCommand {
    /// Notebooks with blanks in the place of the solutions
    Student(Edition),
    /// A course folder for nbgrader: solutions, points, notes, and its settings
    Instructor(Edition),
    /// Notebooks with their solutions in the open, for handing out
    Solutions(Edition),
    /// A talk as one page, with figures from the outputs of the notebooks
    Slides(Slides),
    /// How long each notebook takes to read
    Times {
        /// The notebooks; all of the folder `notebooks` when none is named
        #[arg(value_name = "NOTEBOOK")]
        notebooks: Vec<PathBuf>,
    },
}

/// `itd course student`, `itd course instructor`, `itd course solutions`
#[derive(Debug, Args)]
pub struct Edition {
    /// The notebooks; all of the folder `notebooks` when none is named
    #[arg(value_name = "NOTEBOOK")]
    pub notebooks: Vec<PathBuf>,
    /// The folder of the edition, which must not be there yet; `course/` and the name of the edition when not given
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// The folder with notes for those who teach, NAME.md for NAME.ipynb
    #[arg(long, value_name = "FOLDER", default_value = "docs/course/notes")]
    pub notes: PathBuf,
}

/// `itd course slides`
#[derive(Debug, Args)]
pub struct Slides {
    /// Markdown with a line --- between two slides; ![caption](figure:NOTEBOOK/CELL) is what a cell shows
    #[arg(value_name = "TALK", default_value = "docs/course/talk.md")]
    pub talk: PathBuf,
    /// The page that is written
    #[arg(short, long, value_name = "FILE", default_value = "talk.html")]
    pub output: PathBuf,
    /// The folder of the notebooks
    #[arg(long, value_name = "FOLDER", default_value = "notebooks")]
    pub notebooks: PathBuf,
}

/// `itd install`, `itd uninstall`
#[derive(Debug, Args)]
pub struct Installation {
    /// For this user (the default)
    #[arg(long, conflicts_with_all = ["sys_prefix", "prefix"])]
    pub user: bool,
    /// For the Python environment that is active
    #[arg(long, conflicts_with = "prefix")]
    pub sys_prefix: bool,
    /// Below this folder, in share/jupyter/kernels
    #[arg(long, value_name = "FOLDER")]
    pub prefix: Option<PathBuf>,
    /// The name under which notebooks ask for the kernel
    #[arg(long, default_value = NAME)]
    pub name: String,
}

impl Installation {
    /// Where the kernel specification goes.
    pub fn place(&self) -> Place {
        match (&self.prefix, self.sys_prefix) {
            (Some(prefix), _) => Place::Prefix(prefix.clone()),
            (None, true) => Place::SysPrefix,
            (None, false) => Place::User,
        }
    }
}

/// `itd fetch`
#[derive(Debug, Args)]
pub struct Fetch {
    /// A known network, OWNER/NAME of the Hugging Face hub, the address of a file, or ml-100k; none for a list
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
}

/// `itd reproduce`
#[derive(Debug, Subcommand)]
pub enum Reproduce {
    /// Tables 1 and 2, Figures 2 and 3 of Kong, Brekelmans, Ver Steeg (2023)
    Cifar10(ReproduceCifar10),
}

/// `itd reproduce cifar10`
#[derive(Debug, Args)]
pub struct ReproduceCifar10 {
    /// How much is computed: a minute with small networks that mean nothing, a part for a processor, or all of it
    #[arg(long, value_enum, default_value = "smoke")]
    pub scale: Scale,
    /// The folder of the run; a run in it goes on
    #[arg(long, value_name = "FOLDER", default_value = "reproduce-cifar10")]
    pub folder: PathBuf,
    /// The folder that holds CIFAR-10; looked for where `cifar10()` does when not given
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// The part of the curves that this process measures, INDEX/COUNT
    #[arg(long, value_name = "SHARD", default_value = "1/1")]
    pub shard: String,
    /// Only say what it takes on this machine
    #[arg(long)]
    pub cost: bool,
}

/// How much of an experiment is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scale {
    Smoke,
    Laptop,
    Paper,
}

/// `itd inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// Safetensors or a PyTorch state dict; or a folder with one, or a network that `itd fetch` has fetched
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Hold the tensors against this network, and fail when they do not fit; else against the one they look like
    #[arg(long = "as", value_name = "NETWORK")]
    pub network: Option<Network>,
}

/// A network that a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// UNet2DModel of diffusers
    Ddpm,
    /// UNetModel of OpenAI's improved-diffusion
    Iddpm,
    /// The prelude's own UNet
    Unet,
}

impl Network {
    /// How it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddpm => "ddpm",
            Self::Iddpm => "iddpm",
            Self::Unet => "unet",
        }
    }
}

/// `itd prelude …`
#[derive(Debug, Subcommand)]
pub enum PreludeCommand {
    /// Build the prelude, unless the build for this compiler and these sources is there
    Build {
        /// With CUDA, from now on; for cards of this compute capability (if none is named that of the oldest card
        /// here, at most 80, or 80) and, up to 80, for newer ones
        #[arg(long, conflicts_with = "cpu", value_name = "CAPABILITY", num_args = 0..=1, require_equals = true)]
        cuda: Option<Option<Capability>>,
        /// Without CUDA, from now on
        #[arg(long)]
        cpu: bool,
    },
    /// Print the folder of the current build
    Path,
}

/// `itd bench …`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Time a notebook's cells in this kernel and in stock evcxr_jupyter
    Cells(BenchCells),
    /// Compile recorded cells as they were and with other arguments of the compiler, by turns; set ITD_RECORD to a
    /// folder for `itd run` to record them
    Build(BenchBuild),
    /// Ask for completions at places of a notebook, and tell how often, how fast and at what cost they are right
    Complete(BenchComplete),
    /// Run a notebook in many kernels at once, as a class does, and tell what time and memory they take
    Kernels(BenchKernels),
    /// Time operations, training steps and error curves here and in PyTorch, which goes into .venv-bench
    Compute(BenchCompute),
    /// Do the same work on the CPU and where networks compute, and tell how far the numbers are apart; fails where that
    /// is more than 10⁻⁴. Without CUDA the CPU is held against itself
    Cuda,
    /// Run estimators of mutual information on tasks with known answers; goes on where the file ends
    Mi(BenchMi),
    /// Measure the tables of the case study on recommenders; goes on where the file ends
    Recommender(BenchRecommender),
}

/// `itd bench cells`
#[derive(Debug, Args)]
pub struct BenchCells {
    /// The notebook whose cells are timed
    #[arg(default_value = "notebooks/01_quickstart.ipynb")]
    pub notebook: PathBuf,
    /// Time cells in plain Rust that come with this program; the stock kernel does without the prelude
    #[arg(long, conflicts_with = "notebook")]
    pub plain: bool,
    /// How often each kernel runs all cells
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub rounds: usize,
    /// The stock kernel's program; installed below target/ when not given
    #[arg(long, value_name = "PROGRAM")]
    pub stock: Option<PathBuf>,
    /// Time no stock kernel
    #[arg(long)]
    pub no_stock: bool,
    /// Another program like this one to be timed as well, such as an older build
    #[arg(long, value_name = "PROGRAM")]
    pub other: Option<PathBuf>,
    /// Where the sources of its prelude are
    #[arg(long, value_name = "FOLDER", requires = "other")]
    pub other_prelude: Option<PathBuf>,
}

/// `itd bench build`
#[derive(Debug, Args)]
pub struct BenchBuild {
    /// The folder of recorded cells
    pub folder: PathBuf,
    /// How often each cell is compiled either way; the first time is not counted
    #[arg(long, default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(2..))]
    pub rounds: usize,
    /// An argument that the other way has besides, as `-Ccodegen-units=16`
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub with: Vec<String>,
    /// The beginning of arguments that the other way does not have, as `-Ccodegen-units`
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    pub without: Vec<String>,
}

/// `itd bench complete`
#[derive(Debug, Args)]
pub struct BenchComplete {
    /// Notebooks, folders of them, and Markdown pages with Rust; their cells are executed, so that the variables are
    /// there [default: notebooks docs/rust.md]
    pub notebooks: Vec<PathBuf>,
    /// At how many places of all these
    #[arg(long, default_value_t = 200)]
    pub places: usize,
    /// How many candidates the compiler is asked to confirm
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub confirm: usize,
    /// Afterwards, tell what a kernel holds before and after nobody has asked for so long (600 is usual)
    #[arg(long, value_name = "SECONDS")]
    pub idle: Option<u64>,
}

/// `itd bench kernels`
#[derive(Debug, Args)]
pub struct BenchKernels {
    /// How many
    #[arg(default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub kernels: u16,
    /// The notebook that each runs
    #[arg(
        long,
        value_name = "NOTEBOOK",
        default_value = "notebooks/02_i_mmse.ipynb"
    )]
    pub notebook: PathBuf,
    /// For how many kernels memory and processors are reckoned
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub class: u32,
    /// Seconds from one cell of a person to the next, in that reckoning
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub pause: f64,
}

/// `itd bench compute`
#[derive(Debug, Args)]
pub struct BenchCompute {
    /// How often each side runs each case; heavy ones a third as often
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub tries: usize,
    /// Threads of both sides
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub threads: usize,
    /// Only cases whose name or sizes contain this, and the plain matrix product
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Time the prelude only
    #[arg(long)]
    pub no_torch: bool,
    /// Write all single times to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// `itd bench mi`
#[derive(Debug, Args)]
pub struct BenchMi {
    /// The Parquet file that the results are kept in, one row for each run
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Samples of each task
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub samples: usize,
    /// Seeds of the samples, FIRST-LAST
    #[arg(long, value_name = "SEEDS", default_value = "0-2")]
    pub seeds: String,
    /// `beyond-normal`, `high`, `extra`, or a part of the names of tasks
    #[arg(long, value_name = "TASKS", default_value = "beyond-normal")]
    pub tasks: String,
    /// Which estimators, by their names with commas between
    #[arg(long, value_name = "NAMES", default_value = "base,cca,ksg,student")]
    pub estimators: String,
    /// A part of the tasks, INDEX/COUNT, each with a file of its own
    #[arg(long, value_name = "SHARD", default_value = "1/1")]
    pub shard: String,
}

/// `itd bench recommender`
#[derive(Debug, Args)]
pub struct BenchRecommender {
    /// The Parquet file that the results are kept in
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Runs of each published column
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub runs: u64,
    /// Which parts of the study, with commas between; there are mlp-original, mlp, neumf-original and neumf, too
    #[arg(long, value_name = "PARTS", default_value = "linear,svd,correct")]
    pub parts: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn networks_are_called_as_they_are_passed_on() {
        for network in Network::value_variants() {
            let value = network.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), network.name());
        }
    }

    #[test]
    fn a_run_of_one_notebook_is_as_was_asked() {
        let text = "itd run --to ipynb,md -p a=3 -p b=[1,2.5] -p c=\"x y\" --timeout 1.5 --check --tolerance 0.001 -j 3 a b";
        let read = |args: &[OsString]| match Cli::try_parse_from(args).map(|cli| cli.command) {
            Ok(Command::Run(run)) => run,
            other => panic!("{other:?}"),
        };
        let args: Vec<OsString> = shell_words(text).into_iter().map(OsString::from).collect();
        let run = read(&args);
        assert_eq!(
            (run.jobs, run.to.clone()),
            (3, vec![Format::Ipynb, Format::Md])
        );
        let mut one = run.arguments_of(&run.notebooks[1]);
        one.insert(0, "itd".into());
        let one = read(&one);
        assert_eq!(one.notebooks, [PathBuf::from("b")]);
        assert_eq!((one.parameters, one.timeout), (run.parameters, run.timeout));
        assert_eq!(
            (one.check, one.tolerance, one.to),
            (true, Some(0.001), run.to)
        );
        assert!(Cli::try_parse_from(["itd", "run", "--timeout", "0", "a"]).is_err());
    }

    /// Words with quotes around blanks.
    fn shell_words(text: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in text.chars() {
            match c {
                '"' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                c => words.last_mut().into_iter().for_each(|word| word.push(c)),
            }
        }
        words
    }

    #[test]
    fn places_are_read() {
        let place = |args: &[&str]| match Cli::try_parse_from(args).map(|cli| cli.command) {
            Ok(Command::Install(installation)) => Some(installation.place()),
            _ => None,
        };
        assert_eq!(place(&["itd", "install"]), Some(Place::User));
        assert_eq!(
            place(&["itd", "install", "--sys-prefix"]),
            Some(Place::SysPrefix)
        );
        assert_eq!(
            place(&["itd", "install", "--prefix", "/x"]),
            Some(Place::Prefix("/x".into()))
        );
        assert_eq!(place(&["itd", "install", "--user", "--sys-prefix"]), None);
    }
}
