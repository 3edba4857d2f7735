# Completion of policyctl for bash.

_policyctl()
{
	local attributes cur=${COMP_WORDS[COMP_CWORD]} word command='' i

	attributes='protocol_state= client_address= helo_name= sender= recipient=
	    recipient_count= queue_id= instance= size= sasl_username='
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-[st])	((i++)) ;;
		-*)	;;
		*)	command=$word; break ;;
		esac
	done
	COMPREPLY=()
	if [[ -z $command && ${COMP_WORDS[COMP_CWORD - 1]} = -s ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	case $command in
	'')	word='status show why top list explain reset grant ungrant
		    block unblock reload report clean log metrics events
		    -h -j -s -t -V' ;;
	status)	word=-q ;;
	metrics) word=-p ;;
	why)	word=-n ;;
	top)	word='-w -n --by --window --rule'
		[[ ${COMP_WORDS[COMP_CWORD - 1]} != --by ]] || word='fill used' ;;
	log)	word='debug brief' ;;
	explain)
		compopt -o nospace
		word=$attributes ;;
	*)	return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
}
complete -F _policyctl policyctl
