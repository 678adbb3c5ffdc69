# syntax=docker/dockerfile:1
# On distroless: a user without rights, no shell, no package manager. With glibc, whose allocator and name resolution are
# those that were measured; the C compiler that aws-lc-rs needs is in the first image.

FROM rust:1.95.0-slim-trixie AS build
# The image's own toolchain: rust-toolchain.toml would fetch components that only development needs.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
# The demo (embedded registry, throw-away PKI, Rego engine) stays out.
RUN cargo build --release --locked --no-default-features --package countersign --bin countersign \
 && cp target/release/countersign /countersign

FROM gcr.io/distroless/cc-debian13:nonroot
COPY --from=build /countersign /countersign
COPY LICENSE /LICENSE
# Questions over HTTPS; health and metrics over HTTP.
EXPOSE 6001 8888
USER 65532:65532
ENTRYPOINT ["/countersign"]
CMD ["serve", "--config", "/etc/countersign/countersign.yaml"]
