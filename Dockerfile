# limbeck in a container, for CPU and GPU: see docs/docker.md.
ARG BASE=python:3.12-slim
FROM ${BASE} AS base

# g++: torch.compile, which GPUs use, builds code.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

# By far the largest layer, and the one that changes least. TORCH_INDEX: where other builds of torch are, by default pip's own.
ARG TORCH_INDEX=
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} "torch>=2.11" "torchvision>=0.26"

RUN useradd --create-home limbeck \
    && mkdir --parents /data /home/limbeck/runs \
    && chown limbeck: /data /home/limbeck/runs
ENV LIMBECK_DATA=/data
WORKDIR /home/limbeck


# For .devcontainer: the tests' own needs; limbeck itself is installed from the folder that is opened.
FROM base AS develop
RUN apt-get update \
    && apt-get install --yes --no-install-recommends chromium git \
    && rm -rf /var/lib/apt/lists/*
ENV PATH=/home/limbeck/.local/bin:${PATH}
USER limbeck


FROM base AS limbeck
COPY pyproject.toml README.md LICENSE /usr/src/limbeck/
COPY limbeck /usr/src/limbeck/limbeck
ARG EXTRAS=onnx,datasets,search,timm
RUN pip install --no-cache-dir "/usr/src/limbeck[${EXTRAS}]" && rm -r /usr/src/limbeck
USER limbeck
VOLUME ["/data", "/home/limbeck/runs"]
ENTRYPOINT ["limbeck"]
CMD ["--help"]
