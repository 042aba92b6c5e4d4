#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Installs what the tests need (once), builds, and runs everything that belongs to every run. The last line says
# "N passed, M failed, K skipped"; the exit status is 0 when nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
TOP=$PWD
OUT=${ZEROFS_TEST_OUT:-$TOP/build/tests}
PARTS='checks unit model fault sim fuzz mount posix cookies sanitized clang'
FULL='' BENCH='' KERNEL='' ONLY='' SEEDS=''
PASSED=0 FAILED=0 SKIPPED=0
NOTES=() # what failed or was skipped, for the end
JOBS=$(nproc)
TEST_USER=zerofs-test

usage()
{
	cat <<END
Usage: tests/run.sh [--full] [--bench] [--kernel] [--seeds N] [--only PART]...

  --full       longer: ten times as many simulated histories, fuzzing, crashes; databases, a kernel build and stress-ng
               in the mount
  --bench      measure as well (tests/bench)
  --kernel     the kernel's own NFS, 9P and NBD clients as well
  --seeds N    simulate N fresh histories, however long it takes
  --only PART  only this part of: $PARTS bench kernel

What is built and said is kept in $OUT (ZEROFS_TEST_OUT).
END
}

while [ $# -gt 0 ]; do
	case $1 in
	--full) FULL=1 ;;
	--bench) BENCH=1 ;;
	--kernel) KERNEL=1 ;;
	--seeds)
		SEEDS=${2:?--seeds needs a number}
		shift
		;;
	--only)
		ONLY="$ONLY ${2:?--only needs a part}"
		case " $PARTS bench kernel " in
		*" $2 "*) ;;
		*)
			echo "unknown part $2; there are: $PARTS bench kernel" >&2
			exit 2
			;;
		esac
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
exec </dev/null

# ---- counting and telling ----

now() { date +%s; }

# tell NAME SECONDS TEXT: the line of a part.
tell() { printf '%-22s %4d s  %s\n' "$1" "$2" "$3"; }

# count PASSED FAILED SKIPPED
count()
{
	PASSED=$((PASSED + $1)) FAILED=$((FAILED + $2)) SKIPPED=$((SKIPPED + $3))
}

show_log() { tail -n "${2:-140}" "$1" | cut -c1-300 | sed 's/^/    /'; }

# run NAME COMMAND...: one test. Its output is kept, and shown when it fails; status 77 is a skip with the last line as reason.
run()
{
	local name=$1 log=$OUT/$1.log start status=0
	shift
	start=$(now)
	"$@" >"$log" 2>&1 || status=$?
	judge "$name" "$log" $(($(now) - start)) $status
	return $status
}

judge()
{
	local name=$1 log=$2 took=$3 status=$4
	case $status in
	0)
		count 1 0 0
		tell "$name" "$took" passed
		;;
	77)
		count 0 0 1
		tell "$name" "$took" "skipped: $(tail -n 1 "$log")"
		NOTES+=("skipped $name: $(tail -n 1 "$log")")
		;;
	*)
		count 0 1 0
		tell "$name" "$took" "FAILED with $status (124 is the time limit); all of it is in $log"
		NOTES+=("FAILED  $name")
		show_log "$log"
		;;
	esac
}

# program NAME FILE COMMAND...: like run; a program that is not there is a failure.
program()
{
	local name=$1 file=$2
	shift 2
	if [ -x "$file" ]; then
		run "$name" "$@"
	else
		echo "$file was not built" >"$OUT/$name.log"
		judge "$name" "$OUT/$name.log" 0 1
	fi
}

wanted()
{
	case " $ONLY " in
	"  ") return 0 ;;
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# ---- what is needed ----

PACKAGES='gcc libc6-dev clang clang-format libclang-rt-14-dev meson ninja-build pkg-config libfuse3-dev fuse3 libsodium-dev
libssl-dev liblz4-dev libzstd-dev libjansson-dev check git sqlite3 python3 perl util-linux e2fsprogs procps attr acl rsync'
PACKAGES_FULL='postgresql stress-ng linux-source make bc flex bison xz-utils libelf-dev'

install_packages()
{
	local missing='' sudo='' p
	command -v apt-get >/dev/null || return 0 # another system: meson says what is missing
	for p in $PACKAGES ${FULL:+$PACKAGES_FULL}; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	[ "$(id -u)" = 0 ] || sudo=sudo
	echo "installing$missing"
	# shellcheck disable=SC2086 # words
	$sudo env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -q && apt-get install -q -y --no-install-recommends "$@"' sh $missing
}

# What udev does elsewhere, what fusermount3 -u looks into (bare installations lack it), and somebody ordinary to be.
prepare_machine()
{
	[ "$(id -u)" = 0 ] || return 0
	[ -e /etc/mtab ] || ln -s ../proc/self/mounts /etc/mtab
	[ -e /dev/fuse ] || mknod /dev/fuse c 10 229
	chmod 0666 /dev/fuse || echo "/dev/fuse stays as it is"
	getent passwd $TEST_USER >/dev/null || useradd --system --user-group --no-create-home --home-dir /nonexistent \
		--shell /usr/sbin/nologin $TEST_USER
}

# ---- building ----

MOUNT_PROGRAMS='^(fuse|cli)/|^tests/(shell|posix)/'

# build NAME PATTERN OPTION...: configures $OUT/NAME (once) and builds the programs whose names match.
build()
{
	local dir=$OUT/$1 pattern=$2 targets
	shift 2
	if [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		meson setup "$dir" "$TOP" -Dbench="${BUILD_BENCH:-false}" "$@" || return
	fi
	ninja -C "$dir" build.ninja || return # configured again when a meson.build has changed
	targets=$(ninja -C "$dir" -t targets all | sed -n 's/: c_LINKER.*//p' | grep -E "$pattern")
	# shellcheck disable=SC2086 # words
	ninja -C "$dir" -j "$JOBS" -k 0 $targets
}

build_asan()
{
	[ -n "${BUILT_ASAN:-}" ] || run build-asan build asan "$MOUNT_PROGRAMS|^tests/(unit|model|fault|fuzz)/" --buildtype=debug -Doptimization=1 -Db_sanitize=address,undefined \
		-Dexpensive_checks=true
	BUILT_ASAN=1
}

build_release()
{
	[ -n "${BUILT_RELEASE:-}" ] || run build-release build release "$MOUNT_PROGRAMS|^tests/sim/" --buildtype=release
	BUILT_RELEASE=1
}

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=detect_stack_use_after_return=0 # fibres change stacks

# ---- parts ----

part_checks()
{
	local c
	for c in format sizes includes headers; do run "check-$c" scripts/check-$c; done
}

# meson_suite NAME: all programs of a suite, counted one by one.
meson_suite()
{
	local name=$1 log=$OUT/$1.log start ok bad skipped
	build_asan
	start=$(now)
	meson test -C "$OUT/asan" --no-rebuild --suite "$name" --num-processes "$JOBS" --print-errorlogs >"$log" 2>&1
	number() { sed -n "s/^$1: *\\([0-9]*\\) *\$/\\1/p" "$log" | tail -n 1; }
	ok=$(number Ok) skipped=$(number Skipped)
	bad=$(($(number Fail)0 / 10 + $(number Timeout)0 / 10 + $(number 'Unexpected Pass')0 / 10))
	if [ "${ok:-0}" = 0 ]; then
		bad=$((bad + 1))
		echo "no test of the suite $name passed" >>"$log"
	fi
	count "${ok:-0}" "$bad" "${skipped:-0}"
	if [ $bad = 0 ]; then
		tell "$name" $(($(now) - start)) "${ok:-0} passed"
	else
		tell "$name" $(($(now) - start)) "${ok:-0} passed, $bad FAILED; all of it is in $log"
		NOTES+=("FAILED  $name: $(grep -E '^ *[0-9]+/[0-9]+ .* (FAIL|TIMEOUT|ERROR)' "$log" | awk '{ print $4 }' |
			sort -u | tr '\n' ' ')")
		show_log "$log" 200
	fi
}

part_unit() { meson_suite unit; }
part_model() { meson_suite model; }

part_fault()
{
	build_asan
	program fault-sweep "$OUT/asan/tests/fault/fault-sweep" timeout 600 "$OUT/asan/tests/fault/fault-sweep"
}

part_sim()
{
	local dir=$OUT/release/tests/sim seconds=60 from
	build_release
	from=$((1000000 + $(od -An -N4 -tu4 /dev/urandom)))
	[ -z "$FULL" ] || seconds=900
	program sim-fixed "$dir/sim" timeout 1800 "$dir/sim" --seeds 1 200 --jobs "$JOBS" --seconds $seconds
	if [ -n "$SEEDS" ]; then
		program sim-fresh "$dir/sim" "$dir/sim" --seeds "$from" "$SEEDS" --jobs "$JOBS"
	else
		program sim-fresh "$dir/sim" timeout 1800 "$dir/sim" --seeds "$from" 100000 --jobs "$JOBS" --seconds $seconds
	fi
	program sim-planted "$dir/sim-planted" timeout 900 "$dir/sim-planted" --jobs "$JOBS"
	program sim-schedules "$dir/sim-schedules" timeout 300 "$dir/sim-schedules"
}

# One target of the fuzzer for $2 seconds, beginning with its seeds and what was found before.
fuzz_target()
{
	local dir=$OUT/fuzz-work/$1 corpus=$TOP/tests/fuzz/corpus/$1
	mkdir -p "$dir/new" "$dir/seeds" "$dir/found"
	[ -d "$corpus" ] || corpus=$dir/seeds
	FUZZ_TARGET=$1 "$OUT/fuzz/tests/fuzz/fuzz" -max_total_time="$2" -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 \
		-artifact_prefix="$dir/found/" "$dir/new" "$dir/seeds" "$corpus" >"$dir/log" 2>&1
}

fuzz_all()
{
	local fuzz=$OUT/fuzz/tests/fuzz/fuzz seconds=60 targets each t failed=0
	[ -z "$FULL" ] || seconds=1200
	targets=$(env -u FUZZ_TARGET "$fuzz" 2>&1 | sed -n 's/.*set FUZZ_TARGET to one of://p')
	[ -n "$targets" ] || {
		echo "the fuzzer names no targets"
		return 1
	}
	mkdir -p "$OUT/fuzz-work"
	"$OUT/fuzz/tests/fuzz/replay" --seeds "$OUT/fuzz-work/all-seeds" || mkdir -p "$OUT/fuzz-work/all-seeds"
	# shellcheck disable=SC2086 # words
	each=$((seconds * JOBS / $(echo $targets | wc -w)))
	[ $each -ge 1 ] || each=1
	for t in $targets; do
		mkdir -p "$OUT/fuzz-work/$t/seeds"
		cp "$OUT/fuzz-work/all-seeds/$t"/* "$OUT/fuzz-work/$t/seeds/" 2>/dev/null
		while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n || failed=1; done
		fuzz_target "$t" $each &
	done
	while [ -n "$(jobs -p)" ]; do wait -n || failed=1; done 2>/dev/null
	for t in $targets; do
		if grep -qE 'ERROR: |SUMMARY: |runtime error' "$OUT/fuzz-work/$t/log"; then
			echo "$t: the input is in $OUT/fuzz-work/$t/found"
			tail -n 40 "$OUT/fuzz-work/$t/log"
			failed=1
		else
			echo "$t: $(sed -n 's/stat::number_of_executed_units: */executions /p' "$OUT/fuzz-work/$t/log")"
		fi
	done
	return $failed
}

part_fuzz()
{
	mkdir -p "$OUT/fuzz-work/all-seeds"
	CC=clang run build-fuzz build fuzz '^tests/fuzz/' --buildtype=debugoptimized \
		-Db_sanitize=address,undefined -Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link -Dfuzzers=true
	program fuzz "$OUT/fuzz/tests/fuzz/fuzz" fuzz_all
}

# ---- mounts ----

STAGE=
at_end() { [ -z "$STAGE" ] || rm -rf "$STAGE"; }
trap at_end EXIT

# stage BUILD: the programs and scripts in a directory that the ordinary user can reach wherever the tree lies.
stage()
{
	local dir=$OUT/$1 f
	[ -n "$STAGE" ] || STAGE=$(mktemp -d /tmp/zerofs-run.XXXXXX)
	mkdir -p "$STAGE/$1"
	rm -rf "$STAGE/shell"
	cp -r tests/shell "$STAGE/shell"
	cp -r tests/golden "$STAGE/shell/golden"
	cp -r packaging "$STAGE/shell/packaging"
	rm -rf "$STAGE/posix"
	cp -r tests/posix "$STAGE/posix"
	for f in fuse/zerofs-mount cli/zerofs tests/shell/fsx tests/shell/journal tests/shell/nomem.so tests/shell/plant tests/posix/conform; do cp "$dir/$f" "$STAGE/$1/" || return; done
	chmod -R a+rX "$STAGE"
}

# script BUILD USER NAME: runs one in its own session, so that nothing of it remains.
script()
{
	local as=() prefix=() limit=${SCRIPT_LIMIT:-240}
	[ -z "$FULL" ] || limit=3600
	[ "$2" = root ] || [ "$(id -u)" != 0 ] || as=(setpriv --reuid "$TEST_USER" --regid "$TEST_USER" --init-groups)
	[ "$1" != tsan ] || prefix=(setarch -R) # this sanitizer of gcc 12 needs fixed addresses
	( # somewhere that the user may be
		cd "$STAGE" && env -u XDG_RUNTIME_DIR -u TMPDIR ZEROFS_BIN="$STAGE/$1" TEST_BIN="$STAGE/$1" \
			COOKIE_HASH_BITS="${COOKIE_HASH_BITS:-56}" JOURNAL_ROUNDS="${FULL:+40}" FSX_OPERATIONS="${FULL:+30000}" DAMAGE_STEP="${DAMAGE_STEP:-${FULL:+1}}" \
			TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 \
			timeout -k 10 "$limit" "${as[@]}" "${prefix[@]}" "$STAGE/shell/$3.sh"
	)
}

# script_job BUILD USER NAME: the same in the background; the result goes to a file.
script_job()
{
	local name=mount-$1-$2-$3 start status=0
	start=$(now)
	if [ "$2" = root ] && [ "$(id -u)" != 0 ]; then
		echo "needs root" >"$OUT/$name.log"
		status=77
	else
		script "$1" "$2" "$3" >"$OUT/$name.log" 2>&1 || status=$?
	fi
	echo "$name $(($(now) - start)) $status" >>"$OUT/mount.results"
}

# scripts BUILD NAME...: each as every user that it names, as many at once as there are cores.
scripts()
{
	local build=$1 s u name took status
	shift
	: >"$OUT/mount.results"
	for s; do
		for u in $(sed -n 's/^# as: //p' "tests/shell/$s.sh"); do
			while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
			script_job "$build" "$u" "$s" &
		done
	done
	wait
	while read -r name took status; do judge "$name" "$OUT/$name.log" "$took" "$status"; done < <(sort "$OUT/mount.results")
}

part_mount()
{
	local all=() f
	build_release
	stage release || {
		echo "the programs were not built" >"$OUT/mount.log"
		judge mount "$OUT/mount.log" 0 1
		return
	}
	for f in tests/shell/*.sh; do
		f=${f##*/}
		[ "$f" != functions.sh ] || continue
		# Databases, builds and stress of other people take minutes and packages of their own.
		[ -n "$FULL" ] || ! grep -q '^# long: ' "tests/shell/$f" || continue
		all+=("${f%.sh}")
	done
	scripts release "${all[@]}"
}

# The mount and ext4 side by side.
part_posix()
{
	local mode seconds=8
	build_release
	stage release || {
		echo "the programs were not built" >"$OUT/posix.log"
		judge posix "$OUT/posix.log" 0 1
		return
	}
	[ -z "$FULL" ] || seconds=300
	for mode in cases walk crowd; do
		run "posix-$mode" env -u XDG_RUNTIME_DIR -u TMPDIR ZEROFS_BIN="$STAGE/release" TEST_BIN="$STAGE/release" \
			timeout -k 10 $((seconds + 240)) "$STAGE/posix/posix.sh" $mode $seconds
	done
}

# Directories with so few bits of hash that nearly all names collide.
part_cookies()
{
	local t dir=$OUT/cookies/tests
	run build-cookies build cookies "$MOUNT_PROGRAMS|^tests/unit/test-vfs-(dir|kept|ops|removed)\$|^tests/model/test-(directory|vfs)\$" \
		--buildtype=debug -Doptimization=1 -Dcookie_hash_bits=8
	for t in unit/test-vfs-dir unit/test-vfs-kept unit/test-vfs-ops unit/test-vfs-removed model/test-directory model/test-vfs; do
		program "cookies-${t##*/test-}" "$dir/$t" timeout 300 "$dir/$t"
	done
	stage cookies && COOKIE_HASH_BITS=8 scripts cookies directories directory-full directory-parallel directory-stream names rename
}

# The mount again with the sanitizers looking: what decodes and what races.
part_sanitized()
{
	build_asan
	stage asan && DAMAGE_STEP=7 scripts asan damage fsx crash-remount commands fsck-classes
	run build-tsan build tsan "$MOUNT_PROGRAMS" --buildtype=debug -Doptimization=1 -Db_sanitize=thread
	if setarch -R true 2>/dev/null; then
		stage tsan && scripts tsan fsx append rename journal locks lock-waits
	else
		echo "setarch -R is not permitted here" >"$OUT/tsan.log"
		judge tsan "$OUT/tsan.log" 0 77
	fi
}

part_clang()
{
	# All but the second copy of core that sim-planted is made of.
	CC=clang BUILD_BENCH=true run build-clang build clang '^(fuse|cli)/|^tests/(unit|model|fault|fuzz|shell|bench|sim/sim$)' \
		--buildtype=debugoptimized --werror
}

part_kernel()
{
	echo "the NFS, 9P and NBD servers that the kernel's clients need are not in this version" >"$OUT/kernel.log"
	judge kernel "$OUT/kernel.log" 0 77
}

part_bench()
{
	BUILD_BENCH=true run build-bench build bench '^(fuse|cli)/|^tests/bench/' --buildtype=release
	program bench tests/bench/run tests/bench/run "$OUT/bench" --out "$OUT/performance.md"
	[ ! -f "$OUT/bench.log" ] || cat "$OUT/bench.log"
}

# ---- all ----

mkdir -p "$OUT"
rm -f "$OUT"/*.log
start=$(now)
run packages install_packages || exit 1
run machine prepare_machine
for part in $PARTS; do
	wanted "$part" && "part_$part"
done
if [ -n "$BENCH" ] || { [ -n "$ONLY" ] && wanted bench; }; then part_bench; fi
if [ -n "$KERNEL" ] || { [ -n "$ONLY" ] && wanted kernel; }; then part_kernel; fi
echo
for note in "${NOTES[@]}"; do echo "$note"; done
echo "took $(($(now) - start)) s"
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ $FAILED = 0 ]
