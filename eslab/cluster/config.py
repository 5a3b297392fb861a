"""The configuration files of a node, written at every start: for Cassandra, its data centre, its log and Java."""

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from eslab.cluster.certificates import PASSWORD
from eslab.cluster.folder import options_argument
from eslab.cluster.plan import Node, Plan, Settings
from eslab.cluster.runtime import Java

# Internal packages of Java that Cassandra 5.0 uses, as its own conf/jvm11- and jvm17-server.options list them.
EXPORTS = {
    11: "java.base/jdk.internal.misc java.base/jdk.internal.ref java.base/jdk.internal.util java.base/sun.nio.ch "
    "java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server "
    "java.sql/java.sql",
    17: "java.base/jdk.internal.misc java.base/java.lang.ref java.management.rmi/com.sun.jmx.remote.internal.rmi "
    "java.rmi/sun.rmi.registry java.rmi/sun.rmi.server java.sql/java.sql jdk.unsupported/sun.misc "
    "jdk.attach/sun.tools.attach",
}
OPENS_ALWAYS = (
    "java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref "
    "java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module "
    "java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal"
)
OPENS = {
    11: OPENS_ALWAYS,
    17: f"{OPENS_ALWAYS} java.base/sun.nio.ch java.base/java.io java.base/java.lang.reflect java.base/java.lang "
    "java.base/java.util",
}
NETTY = {
    "io.netty.tryReflectionSetAccessible": "true",
    "io.netty.allocator.useCacheForAllThreads": "true",
    "io.netty.allocator.maxOrder": "11",
}
# Cassandra waits to learn a ring that it doesn't know. Here the ring is in the plan, and all nodes start together.
NO_WAITING = {
    "cassandra.ring_delay_ms": "2000",
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.superuser_setup_delay_ms": "0",
}
HEAP_AT_START = "128m"  # see `jvm_options`
LOGBACK = """<configuration>
  <appender name="SYSTEM" class="ch.qos.logback.core.rolling.RollingFileAppender">
    <file>${cassandra.logdir}/system.log</file>
    <rollingPolicy class="ch.qos.logback.core.rolling.FixedWindowRollingPolicy">
      <fileNamePattern>${cassandra.logdir}/system.%i.log</fileNamePattern>
      <maxIndex>3</maxIndex>
    </rollingPolicy>
    <triggeringPolicy class="ch.qos.logback.core.rolling.SizeBasedTriggeringPolicy">
      <maxFileSize>20MB</maxFileSize>
    </triggeringPolicy>
    <encoder><pattern>%-5level %date{ISO8601} [%thread] %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="SYSTEM"/></root>
</configuration>
"""


def write_config(plan: Plan, node: Node, cluster: Path, java: Java, jars: Sequence[Path]) -> list[str]:
    """Write the node's conf folder; returns the command that starts the node."""
    folder = cluster / node.folder
    conf = folder / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    (folder / "logs").mkdir(exist_ok=True)
    shutil.rmtree(folder / "tmp", ignore_errors=True)
    (folder / "tmp").mkdir()
    lines = (
        f"{name}: {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in cassandra_yaml(plan, node, cluster).items()
    )
    (conf / "cassandra.yaml").write_text("".join(lines), encoding="utf-8")
    (conf / "cassandra-rackdc.properties").write_text(f"dc={node.region}\nrack=rack{node.number}\n")
    (conf / "logback.xml").write_text(LOGBACK)
    options = conf / "jvm.options"
    options.write_text("\n".join(map(_quoted, jvm_options(plan, folder, java.major, jars))) + "\n", encoding="utf-8")
    return [str(java.path), options_argument(folder), "org.apache.cassandra.service.CassandraDaemon"]


def cassandra_yaml(plan: Plan, node: Node, cluster: Path) -> dict[str, Any]:
    """The node's cassandra.yaml; the `config` of the settings overrides everything else."""
    folder = cluster / node.folder
    settings = plan.settings
    # Every node is a seed: a node that is none gives up after ring_delay_ms if the seeds start more slowly than itself.
    seeds = ",".join(f"{seed.host}:{seed.storage_port}" for seed in plan.nodes)
    seed_provider = {"class_name": "org.apache.cassandra.locator.SimpleSeedProvider", "parameters": [{"seeds": seeds}]}
    return {
        "cluster_name": plan.name,
        "endpoint_snitch": "GossipingPropertyFileSnitch",
        "seed_provider": [seed_provider],
        "listen_address": node.inside,
        "broadcast_address": node.host,
        "rpc_address": node.host,
        "storage_port": node.storage_port,
        "native_transport_port": node.cql_port,
        "partitioner": "Murmur3Partitioner",
        "num_tokens": len(plan.tokens(node)),
        "initial_token": ",".join(map(str, plan.tokens(node))),
        "auto_bootstrap": False,
        "auto_snapshot": False,
        "storage_compatibility_mode": "NONE",  # by default rows can't expire after 2038
        "commitlog_total_space": "512MiB",
        **_commit_log(settings),
        **{f"{name}_directory": str(folder / name) for name in ("commitlog", "saved_caches", "hints", "cdc_raw")},
        "data_file_directories": [str(folder / "data")],
        **_access(settings, cluster / "keys"),
        **settings.config,
    }


def jvm_options(plan: Plan, folder: Path, major: int, jars: Sequence[Path]) -> Iterable[str]:
    """The options of Java, one a line."""
    yield from ("-ea", "-da:net.openhft...", "-XX:+UseG1GC", "-XX:+PerfDisableSharedMem", "-Xss256k")
    # Cassandra locks its memory when it starts (mlockall). A small heap at that moment halves what a node takes.
    yield from (f"-Xms{HEAP_AT_START}", f"-Xmx{plan.settings.heap}", "-XX:+ExitOnOutOfMemoryError")
    if plan.settings.brief:
        yield "-XX:TieredStopAtLevel=1"
    yield f"-javaagent:{next(jar for jar in jars if jar.name.startswith('jamm-'))}"
    yield from (f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTS[major].split())
    yield from (f"--add-opens={package}=ALL-UNNAMED" for package in OPENS[major].split())
    everywhere = str(len(plan.nodes))
    properties = {
        "java.net.preferIPv4Stack": "true",
        "jdk.attach.allowAttachSelf": "true",
        "cassandra.config": (folder / "conf" / "cassandra.yaml").as_uri(),
        "cassandra.storagedir": str(folder),
        "cassandra.logdir": "logs",  # a node runs in its folder, whose name may have a % for logback's patterns
        "java.io.tmpdir": str(folder / "tmp"),  # emptied at each start: a killed node leaves unpacked libraries
        "cassandra.system_auth.default_rf": everywhere,
        "cassandra.system_distributed.default_rf": everywhere,
        **NO_WAITING,
        **NETTY,
    }
    yield from (f"-D{name}={value}" for name, value in properties.items())
    separator = ";" if folder.drive else ":"
    yield from ("-cp", separator.join(map(str, ("conf", *jars))))  # the folder's name may have a separator


def _commit_log(settings: Settings) -> dict[str, Any]:
    extra = {
        "batch": {},
        "periodic": {"commitlog_sync_period": "10000ms"},
        "group": {"commitlog_sync_group_window": "10ms"},
    }
    return {"commitlog_sync": settings.commitlog_sync, **extra[settings.commitlog_sync]}


def _access(settings: Settings, keys: Path) -> dict[str, Any]:
    login = {"authenticator": "PasswordAuthenticator", "authorizer": "CassandraAuthorizer"}
    encryption = {
        "enabled": True,
        "optional": False,
        "store_type": "PKCS12",
        "keystore": str(keys / "node.p12"),
        "keystore_password": PASSWORD,
        "require_client_auth": settings.client_certificates,
        "truststore": str(keys / "clients.p12"),
        "truststore_password": PASSWORD,
    }
    tls = {"client_encryption_options": encryption}
    return {**(login if settings.authentication else {}), **(tls if settings.encrypted else {})}


def _quoted(option: str) -> str:
    """Quote an option for Java's @-files, with backslashes doubled."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
