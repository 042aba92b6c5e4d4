# SPDX-License-Identifier: GPL-3.0-or-later
# bash completion for zerofs and zerofs-mount
# shellcheck shell=bash

# Options that take a value, for both programs.
_zerofs_value()
{
	case $1 in
	-c | --config | --password-file | --new-password-file) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$2") ;;
	--cache-dir | --url) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$2") ;;
	--compression) mapfile -t COMPREPLY < <(compgen -W 'auto lz4 none zstd-1 zstd-3 zstd-9 zstd-19 zstd-22' -- "$2") ;;
	--lease) mapfile -t COMPREPLY < <(compgen -W 'available strict' -- "$2") ;;
	--memory | --memory-size-gb | --max-size | --max-size-gb | --disk-size-gb | --flush-interval-secs) COMPREPLY=() ;;
	*) return 1 ;;
	esac
}

_zerofs_options='--config --url --password-file --memory --memory-size-gb --max-size --max-size-gb --compression --lease
--flush-interval-secs --cache-dir --disk-size-gb --force --accept-rollback --verbose --help --version'

_zerofs_files()
{
	compopt -o filenames
	mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_zerofs()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' i
	local commands='init format info status flush umount put get ls fsck change-password key debug'
	COMPREPLY=()
	_zerofs_value "$prev" "$cur" && return
	for ((i = 1; i < COMP_CWORD; i++)); do
		case " $commands " in *" ${COMP_WORDS[i]} "*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_zerofs_options --json --data --parents --all --dry-run --recovery --new-password-file" -- "$cur")
	elif [ -z "$command" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
	elif [ "$command" = key ] && [ "$((i + 1))" = "$COMP_CWORD" ]; then
		mapfile -t COMPREPLY < <(compgen -W 'list add remove rotate' -- "$cur")
	else
		_zerofs_files "$cur"
	fi
}

_zerofs_mount()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} head=''
	COMPREPLY=()
	_zerofs_value "$prev" "$cur" && return
	if [ "$prev" = -o ]; then
		[[ $cur != *,* ]] || head=${cur%,*},
		compopt -o nospace
		mapfile -t COMPREPLY < <(compgen -P "$head" -W 'ro rw suid nosuid dev nodev exec noexec atime noatime relatime sync dirsync
			allow_other allow_root default_permissions fsname= subtype= remount config= url= password_file= memory= max_size=
			compression= lease= flush_interval_secs= cache_dir= disk_size_gb=' -- "${cur##*,}")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$_zerofs_options --create --foreground --debug -o" -- "$cur")
	else
		_zerofs_files "$cur"
	fi
}

complete -F _zerofs zerofs
complete -F _zerofs_mount zerofs-mount mount.zerofs
