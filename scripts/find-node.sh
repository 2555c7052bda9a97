# shellcheck shell=bash
# To be sourced in the project's root. Where the system's Node.js is older than 20, scripts/setup.sh
# fetches one into build/node: that is put into PATH.

node_is_there() {
    node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' 2>/dev/null
}

if ! node_is_there && [ -d build/node/node_modules ]; then
    for bin in "$PWD"/build/node/node_modules/.bin "$PWD"/build/node/node_modules/node-linux-*/bin; do
        PATH=$bin:$PATH
    done
    export PATH
fi
