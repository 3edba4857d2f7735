#!/bin/sh
# make deb: Debian packages from the tarball of make dist, below build/deb; lintian has
# the last word. `deb.sh VERSION`, from the top of the tree.
set -eu
version=$1
dir=build/deb
src=$dir/policyd-rate-limit-$version

for tool in dpkg-buildpackage dh lintian; do
	command -v $tool >/dev/null || {
		echo "make deb: $tool is missing: apt-get install debhelper lintian" >&2
		exit 1
	}
done
rm -rf "$dir"
mkdir -p "$dir"
cp "policyd-rate-limit-$version.tar.gz" "$dir/policyd-rate-limit_$version.orig.tar.gz"
tar -x -z -f "$dir/policyd-rate-limit_$version.orig.tar.gz" -C "$dir"
cp -R "$src/packaging/debian" "$src/debian"
# Who builds it is who maintains it, if DEBEMAIL tells.
if [ -n "${DEBEMAIL-}" ]; then
	sed -i "s|Local builds of .*@example\.org>|${DEBFULLNAME:-$DEBEMAIL} <$DEBEMAIL>|" \
	    "$src/debian/control" "$src/debian/changelog" "$src/debian"/*.NEWS
fi
# Where it is published, if HOMEPAGE tells.
if [ -n "${HOMEPAGE-}" ]; then
	sed -i "s|https://policyd-rate-limit\.example\.org|${HOMEPAGE%/}|" \
	    "$src/debian/control" "$src/debian/copyright" "$src/debian/watch"
fi
(cd "$src" && dpkg-buildpackage -us -uc)
# It leaves files of its own behind.
mkdir "$dir/lintian"
TMPDIR="$PWD/$dir/lintian" lintian --info --fail-on error,warning \
    "$dir"/*.changes
rm -rf "$dir/lintian"
ls "$dir"/*.deb
