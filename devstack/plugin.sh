#!/bin/bash
#
# Sets up the agent, the driver and the listener in a DevStack. In local.conf:
#
#   [[local|localrc]]
#   enable_plugin virtdc <address of this repository>
#
# See doc/source/install/devstack.rst.

# Save trace setting
_XTRACE_VIRTDC=$(set +o | grep xtrace)
set +o xtrace

VIRTDC_DIR=${VIRTDC_DIR:-$DEST/virtdc}
# Asked for after the settings were read.
VIRTDC_RABBIT_PASSWORD=${VIRTDC_RABBIT_PASSWORD:-$RABBIT_PASSWORD}

function _virtdc_transport_url {
    local account="$VIRTDC_RABBIT_USER:$VIRTDC_RABBIT_PASSWORD"
    echo "rabbit://$account@$RABBIT_HOST:5672/$VIRTDC_RABBIT_VHOST"
}

# Agent, driver and listener share queues: all must agree on what they are.
function _virtdc_iniset_rabbit {
    iniset $1 oslo_messaging_rabbit amqp_durable_queues true
}

function _virtdc_export {
    echo "${VIRTDC_EXPORT:-127.0.0.1:$VIRTDC_POOL_DIR}"
}

function install_virtdc {
    setup_develop $VIRTDC_DIR cinder,osc,mysql
    install_package qemu-utils util-linux
    if [[ -z "$VIRTDC_EXPORT" ]]; then
        install_package nfs-kernel-server nfs-common
    fi
}

# Called by Cinder's own set-up for each backend of our kind.
function configure_cinder_backend_virtdc {
    local be_name=$1
    iniset $CINDER_CONF $be_name volume_backend_name $be_name
    iniset $CINDER_CONF $be_name volume_driver \
        cinder_virtdc.driver.VirtDCDriver
    iniset $CINDER_CONF $be_name virtdc_transport_url \
        "$(_virtdc_transport_url)"
    _virtdc_iniset_rabbit $CINDER_CONF
}

function create_virtdc_account {
    local names='^(virtdc|reply_|amq\.default$)'
    rpc_backend_add_vhost $VIRTDC_RABBIT_VHOST
    rabbit_setuser $VIRTDC_RABBIT_USER "$VIRTDC_RABBIT_PASSWORD"
    # Which gives it the cloud's own virtual host, too: not for us.
    sudo rabbitmqctl clear_permissions $VIRTDC_RABBIT_USER
    sudo rabbitmqctl set_permissions -p $VIRTDC_RABBIT_VHOST \
        $VIRTDC_RABBIT_USER "$names" "$names" "$names"
}

function create_virtdc_pool {
    sudo install -d -o $STACK_USER -g $VIRTDC_POOL_GROUP -m 2770 \
        $VIRTDC_POOL_DIR
    if [[ -z "$VIRTDC_EXPORT" ]]; then
        echo "$VIRTDC_POOL_DIR 127.0.0.1(rw,sync,no_subtree_check)" |
            sudo tee /etc/exports.d/virtdc.exports
        sudo exportfs -ra
    fi
}

function configure_virtdc_agent {
    local conf=$VIRTDC_AGENT_CONF
    install -m 600 /dev/null $conf
    iniset $conf DEFAULT transport_url "$(_virtdc_transport_url)"
    iniset $conf DEFAULT state_path $VIRTDC_STATE_DIR
    iniset $conf DEFAULT debug $ENABLE_DEBUG_LOG_LEVEL
    _virtdc_iniset_rabbit $conf
    iniset $conf agent name devstack
    iniset $conf database connection sqlite:///$VIRTDC_STATE_DIR/journal.sqlite
    iniset $conf backend_file path $VIRTDC_POOL_DIR
    iniset $conf exporter_share export "$(_virtdc_export)"
    iniset $conf api enabled true
    iniset $conf api bind_host $VIRTDC_API_HOST
    iniset $conf api bind_port $VIRTDC_API_PORT
    iniset $conf api auth_strategy keystone
    configure_keystone_authtoken_middleware $conf virtdc
}

function configure_virtdc_listener {
    local conf=$VIRTDC_LISTENER_CONF
    install -m 600 /dev/null $conf
    iniset $conf DEFAULT transport_url "$(_virtdc_transport_url)"
    iniset $conf DEFAULT debug $ENABLE_DEBUG_LOG_LEVEL
    _virtdc_iniset_rabbit $conf
    iniset $conf cinder auth_type password
    iniset $conf cinder auth_url "$KEYSTONE_SERVICE_URI"
    iniset $conf cinder username virtdc-listener
    iniset $conf cinder password "$SERVICE_PASSWORD"
    iniset $conf cinder user_domain_name "$SERVICE_DOMAIN_NAME"
    iniset $conf cinder project_name "$SERVICE_PROJECT_NAME"
    iniset $conf cinder project_domain_name "$SERVICE_DOMAIN_NAME"
    iniset $conf cinder region_name "$REGION_NAME"
    iniset $conf virtdc state_path $VIRTDC_STATE_DIR/listener
}

function configure_virtdc {
    sudo install -d -o $STACK_USER -m 755 $VIRTDC_CONF_DIR
    sudo install -d -o $STACK_USER -m 755 $VIRTDC_STATE_DIR
    install -d -m 700 $VIRTDC_STATE_DIR/listener
    create_virtdc_account
    create_virtdc_pool
    configure_virtdc_agent
    configure_virtdc_listener
    virtdc-manage --config-file $VIRTDC_AGENT_CONF db sync
}

function create_virtdc_accounts_of_keystone {
    create_service_user virtdc
    create_service_user virtdc-listener admin
    local service_id
    service_id=$(get_or_create_service virtdc virtdc "VirtDC platform events")
    get_or_create_endpoint $service_id "$REGION_NAME" \
        "http://$VIRTDC_API_HOST:$VIRTDC_API_PORT"
}

function start_virtdc {
    local bin_dir
    bin_dir=$(get_python_exec_prefix)
    run_process virtdc-agent \
        "$bin_dir/virtdc-agent --config-file $VIRTDC_AGENT_CONF"
    run_process virtdc-listener \
        "$bin_dir/cinder-virtdc-listener --config-file $VIRTDC_LISTENER_CONF"
}

function clean_virtdc {
    sudo rm -f /etc/exports.d/virtdc.exports
    sudo rm -rf $VIRTDC_CONF_DIR $VIRTDC_STATE_DIR
}

if is_service_enabled virtdc-agent; then
    case "$1 ${2:-}" in
        "stack install")
            echo_summary "Installing VirtDC"
            install_virtdc
            ;;
        "stack post-config")
            echo_summary "Configuring VirtDC"
            create_virtdc_accounts_of_keystone
            configure_virtdc
            ;;
        "stack extra")
            echo_summary "Starting VirtDC"
            start_virtdc
            ;;
        "unstack ")
            stop_process virtdc-listener
            stop_process virtdc-agent
            ;;
        "clean ")
            clean_virtdc
            ;;
    esac
fi

# Restore xtrace
$_XTRACE_VIRTDC
