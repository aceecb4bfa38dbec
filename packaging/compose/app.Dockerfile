# SPDX-License-Identifier: Apache-2.0
# The application of packaging/example, in two forms; its files come from the mount, so the image has none of them.
#
#   --target app          needs nothing but a mount that somebody else made
#   --target standalone   has gridmount too: gridmount run ... -- gunicorn ...

FROM python:3.11-slim AS packages
COPY packaging/compose/requirements.txt /
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -r /requirements.txt

FROM python:3.11-slim AS gridmount
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make pkg-config \
        libfuse3-dev libmongoc-dev libbson-dev uthash-dev libssl-dev libxxhash-dev libmicrohttpd-dev
WORKDIR /src
COPY Makefile ./
COPY cache cache
COPY fs fs
RUN make -j"$(nproc)" all && strip -o /gridmount build/gridmount

FROM python:3.11-slim AS app
RUN groupadd -g 1000 app && useradd -u 1000 -g 1000 -m app
COPY --from=packages /opt/venv /opt/venv
COPY packaging/example /srv/example
WORKDIR /srv/example
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 1000:1000
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "4", "app:create_app()"]

FROM app AS standalone
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates fuse3 libmongoc-1.0-0 libxxhash0 libmicrohttpd12 \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o app -g app /srv/gridfs /srv/gridfs/data /srv/gridfs/assets /srv/gridfs/votes /srv/storage \
    && install -d -m 0700 -o app -g app /home/app/.local/state/gridmount
COPY --from=gridmount /gridmount /usr/bin/gridmount
USER 1000:1000
VOLUME /home/app/.local/state/gridmount
