# Completion of policyd-rate-limit for bash.

_policyd_rate_limit()
{
	local cur=${COMP_WORDS[COMP_CWORD]} settings

	settings='SOCKET allowed_clients backend block_action clean_interval config_file
	    control_group control_socket count_mode db_error_action db_insecure_auth db_timeout debug
	    default_domain delay_to_close exempt fail_action fold_case group history ipv4_prefix
	    ipv6_prefix limit_by_ip limit_by_sasl limit_by_sender limited_netword
	    limited_networks limits limits_by_id log memory_limit mysql_config never_action operator_group
	    pgsql_config pidfile recipient_delimiter report report_from report_immediately
	    report_limits report_only_if_needed report_subject report_to report_user report_user_domains rules sandbox_required
	    smtp_credentials smtp_server smtp_starttls smtp_tls smtp_tls_cafile smtp_tls_verify
	    socket_group socket_permission socket_user sql_limits_by_id sqlite_config
	    success_action user'
	COMPREPLY=()
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-f|--file)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	--get-config)
		mapfile -t COMPREPLY < <(compgen -W "$settings" -- "$cur")
		return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W '-b --background -d --debug -f --file -h --help
	    -n --configtest -V --version --clean --get-config' -- "$cur")
}
complete -F _policyd_rate_limit policyd-rate-limit
