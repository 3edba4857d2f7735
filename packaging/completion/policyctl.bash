# Completion of policyctl for bash.

# Names of one kind that the daemon knows. Only plain ones: bash expands the words that it
# compares, and an id is chosen by whoever sends mail.
_policyctl_names()
{
	"${COMP_WORDS[0]}" "${socket[@]}" -t 2 "${@:2}" 2>/dev/null |
	    LC_ALL=C grep -Eo "(\"$1\": *|$1=)\"[A-Za-z0-9@._+:/-]+\"" |
	    LC_ALL=C sed 's/"$//; s/.*"//' | sort -u
}

_policyctl()
{
	local attributes states cur=${COMP_WORDS[COMP_CWORD]} word command='' i before prefix=''
	local -a socket=()

	attributes='protocol_state= client_address= helo_name= sender= recipient=
	    recipient_count= queue_id= instance= size= sasl_username='
	states='CONNECT EHLO HELO MAIL RCPT DATA END-OF-MESSAGE VRFY ETRN'
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-s)	socket=(-s "${COMP_WORDS[++i]}") ;;
		-t)	((i++)) ;;
		-*)	;;
		*)	command=$word; break ;;
		esac
	done
	COMPREPLY=()
	before=${COMP_WORDS[COMP_CWORD - 1]}
	if [[ -z $command && $before = -s ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	# What is typed in one word, bash has in three where there is a "=" or a ":".
	if [[ $cur = [=:] ]]; then
		prefix=$before$cur cur=
	elif [[ $before = [=:] ]]; then
		prefix=${COMP_WORDS[COMP_CWORD - 2]}$before
	fi
	case $command in
	'')	word=$("${COMP_WORDS[0]}" -h 2>/dev/null |
		    LC_ALL=C sed -n 's/^ *policyctl \([a-z]*\).*/\1/p')
		word+=' -h -j -s -t -V' ;;
	status)	word=-q ;;
	metrics) word=-p ;;
	why|list) word=-n ;;
	top)	word='-w -n --by --group --window --rule'
		case $before in
		--by)	word='fill used refused' ;;
		--group) word=domain ;;
		--rule)	word=$(_policyctl_names rule metrics) ;;
		esac ;;
	try|page) mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	log)	word='debug brief' ;;
	show|reset|charge|grant|trust|forget)
		((COMP_CWORD - i == 1)) || [[ $prefix = *: ]] || return
		word=$(_policyctl_names id -j top -n 1000) ;;
	ungrant|unblock)
		word=$(_policyctl_names what -j list) ;;
	explain)
		if [[ $prefix = protocol_state= ]]; then
			word=$states prefix=
		elif [[ $cur = protocol_state=* ]]; then
			mapfile -t COMPREPLY < <(compgen -P protocol_state= -W "$states" \
			    -- "${cur#*=}")
			return
		else
			compopt -o nospace
			word=$attributes
		fi ;;
	*)	return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$word" -- "$prefix$cur")
	[[ -z $prefix ]] || COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -F _policyctl policyctl
