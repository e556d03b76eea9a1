# Jupyter with the kernel and the built prelude: docker build -t itd . && docker run -p 8888:8888 itd
FROM rust:1.95-bookworm AS build
WORKDIR /itd
COPY . .
RUN cargo build --release --locked \
    && ITD_CACHE=/opt/itd ./target/release/itd prelude build \
    && cp target/release/itd /usr/local/bin/itd

FROM rust:1.95-slim-bookworm
# Debian removes older versions of its packages, so none is pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && rustup component add rust-src
COPY --from=build /usr/local/bin/itd /usr/local/bin/itd
COPY --from=build /opt/itd/prelude /usr/local/bin/prelude-builds
COPY requirements.txt /opt/itd/requirements.txt
RUN python3 -m venv /opt/jupyter \
    && /opt/jupyter/bin/pip install --no-cache-dir --requirement /opt/itd/requirements.txt \
    && itd install --prefix /opt/jupyter \
    && useradd --create-home --uid 1000 reader
USER 1000
WORKDIR /home/reader
COPY --chown=reader notebooks notebooks
# What notebooks read and link to.
COPY --chown=reader docs docs
# So that JupyterLab shows figures and sliders before a cell has run.
RUN /opt/jupyter/bin/jupyter trust notebooks/*.ipynb
EXPOSE 8888
CMD ["/opt/jupyter/bin/jupyter", "lab", "--ip=0.0.0.0", "--no-browser"]
