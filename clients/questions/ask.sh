#!/bin/sh
# A few questions to the running stack: images over gRPC, reviews over REST. Fails with kedge's exit code.
set -eu
server=${KEDGE_SERVER:-tensorflow-serving}
cd "$(dirname "$0")"
kedge status --url "grpc://$server:8500"
kedge predict mnist zero.png two.png seven.png --url "grpc://$server:8500"
kedge predict imdb --file reviews.txt --url "http://$server:8501"
