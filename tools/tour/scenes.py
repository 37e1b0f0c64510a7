"""The story: what a user does, and what then can be seen."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from pathlib import Path
import shutil
import threading
import time

from tools.lab import errors
from tools.lab import stack
from tools.lab import virtdc
from tools.tour import cloud as clouds
from tools.tour.screen import Screen

MANY = 20
BURST = 24


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A line of the summary."""

    what: str
    outcome: str


class Story:
    """The scenes, in order. Each raises ``LabError`` if it went wrong."""

    def __init__(self, lab: stack.Lab, screen: Screen) -> None:
        if lab.agent is None:
            raise errors.LabError('The demonstration needs an agent.')
        self._agent: virtdc.Agent = lab.agent
        self._pool: Path = lab.agent.pool
        self._cloud = clouds.Cloud(lab)
        self._screen = screen
        self._results: list[Result] = []

    @property
    def results(self) -> list[Result]:
        """What came out, scene by scene."""
        return self._results

    def tell(self) -> None:
        """Play all scenes."""
        self._cloud.make_type(
            'thick',
            {
                'volume_backend_name': 'virtdc',
                'virtdc:provisioning': 'thick',
            },
        )
        self.one_volume()
        self.many_volumes()
        self.extend()
        self.refusal()
        self.crash()
        self.delete()

    def one_volume(self) -> None:
        """Create one volume and watch it."""
        self._screen.scene('1. One volume, and what the cloud shows of it')
        self._screen.say(
            'The volume type "thick" has all space written with zeros, which '
            'takes long enough to watch.'
        )
        command = ['volume', 'create', '--size', '1', '--type', 'thick']
        self._screen.command(f'openstack {" ".join(command)} first')
        printed: list[str] = []
        client = threading.Thread(
            target=lambda: printed.append(self._cloud.run(*command, 'first')),
            daemon=True,
        )
        client.start()
        elapsed_s = self._watch('first', 'available')
        client.join()
        if not printed:
            raise errors.LabError('openstack volume create failed')
        self._show('first')
        path = self._file('first')
        self._screen.command(f'qemu-img info {path.name}')
        self._screen.output(clouds.image_info(path))
        self._note('One volume', f'available {elapsed_s:.1f} s after it began')

    def many_volumes(self) -> None:
        """Create many at once."""
        self._screen.scene(f'2. {MANY} volumes at once')
        commands = [
            f'volume create --size 1 many-{index:02}' for index in range(MANY)
        ]
        self._screen.command(
            f'openstack  # 4 clients, {MANY} x "volume create --size 1 …"'
        )
        clients = self._cloud.run_many(commands)
        elapsed_s = self._follow('many-', MANY)
        for client in clients:
            client.join()
        self._note(f'{MANY} volumes', f'all available in {elapsed_s:.1f} s')

    def extend(self) -> None:
        """Grow a volume; both sides agree."""
        self._screen.scene('3. Extend one: both sides agree')
        self._screen.command('openstack volume set --size 2 many-00')
        self._cloud.run('volume', 'set', '--size', '2', 'many-00')
        self._watch('many-00', 'available', operation='extend')
        seen = self._find('many-00')
        size = self._file('many-00').stat().st_size
        self._screen.say(
            f'The cloud says {seen.size_gib} GiB; the file has {size} bytes.'
        )
        if seen.size_gib * 1024**3 != size:
            raise errors.LabError('The two sides do not agree.')
        self._note('Extend', f'{seen.size_gib} GiB in the cloud and on disk')

    def refusal(self) -> None:
        """Ask for what cannot be had; learn why not."""
        self._screen.scene('4. A request that must fail, and why it did')
        free_gib = shutil.disk_usage(self._pool).free // 1024**3
        size = free_gib + 100
        self._screen.say(
            f'The storage has {free_gib} GiB free. A thick volume of '
            f'{size} GiB cannot fit.'
        )
        command = ['volume', 'create', '--size', str(size), '--type', 'thick']
        self._screen.command(f'openstack {" ".join(command)} too-large')
        self._cloud.run(*command, 'too-large')
        self._watch('too-large', 'error')
        self._show('too-large')
        seen = self._find('too-large')
        self._note(
            'A refusal',
            f'{seen.properties.get("virtdc.reason")}: '
            f'{seen.properties.get("virtdc.message")}',
        )

    def crash(self) -> None:
        """Kill the agent in the middle of a burst."""
        self._screen.scene('5. kill -9 of the agent in the middle of a burst')
        commands = [
            'volume create --size 1 '
            + ('--type thick ' if index % 4 == 0 else '')
            + f'burst-{index:02}'
            for index in range(BURST)
        ]
        self._screen.command(
            f'openstack  # 4 clients, {BURST} x "volume create …"'
        )
        clients = self._cloud.run_many(commands)
        killed: list[float] = []

        def interfere(seen: list[clouds.Seen], elapsed_s: float) -> None:
            available = sum(one.status == 'available' for one in seen)
            if not killed and available >= BURST // 4:
                self._screen.command(f'kill -9 {self._agent.service.pid}')
                self._agent.service.kill()
                killed.append(time.monotonic())
            elif killed and not self._agent.service.is_running():
                if time.monotonic() - killed[0] > 2:
                    self._screen.command('virtdc-agent &')
                    self._agent.service.start(wait=False)

        elapsed_s = self._follow('burst-', BURST, on_look=interfere)
        for client in clients:
            client.join()
        names = {path.name for path in self._pool.glob('volume-*')}
        made = [
            one
            for one in self._cloud.volumes()
            if one.name.startswith('burst-')
        ]
        if {f'volume-{one.volume_id}' for one in made} - names:
            raise errors.LabError('A volume of the burst has no file.')
        self._note(
            'kill -9 in a burst',
            f'{len(made)} of {BURST} available, {elapsed_s:.1f} s in all',
        )

    def delete(self) -> None:
        """Delete everything."""
        self._screen.scene('6. Delete them all')
        volumes = self._cloud.volumes()
        ids = [one.volume_id for one in volumes]
        self._screen.command(f'openstack volume delete …   # {len(ids)} ids')
        begun = time.monotonic()
        self._cloud.run('volume', 'delete', *ids)
        clouds.wait_until(
            lambda: not self._cloud.volumes(),
            timeout_s=120,
            what='all volumes are gone',
        )
        elapsed_s = time.monotonic() - begun
        left = [path.name for path in self._pool.glob('volume-*')]
        self._screen.command(f'ls {self._pool.name}/ | wc -l')
        self._screen.output(str(len(left)))
        if left:
            raise errors.LabError(f'Files are left: {", ".join(left)}')
        self._note(
            'Delete', f'{len(ids)} volumes and files gone in {elapsed_s:.1f} s'
        )

    def _watch(
        self, name: str, status: str, *, operation: str = 'create'
    ) -> float:
        """Show each change of a volume until it is what it should be."""
        begun = time.monotonic()
        first_s: float | None = None
        reached_s: float | None = None
        last: tuple[str, str, str] | None = None
        while True:
            elapsed_s = time.monotonic() - begun
            seen = self._cloud.find(name)
            if seen is not None:
                if first_s is None:
                    first_s = elapsed_s
                looks = (seen.status, seen.state, seen.progress)
                if looks != last:
                    self._screen.change(elapsed_s - first_s, seen)
                last = looks
                if reached_s is None and seen.status == status:
                    reached_s = elapsed_s
                if (
                    reached_s is not None
                    and seen.is_settled
                    and seen.operation == operation
                ):
                    return reached_s - first_s
                if seen.status.startswith('error') and status != 'error':
                    raise errors.LabError(
                        f'{name} is in {seen.status}: {seen.properties}'
                    )
            if elapsed_s > 90:
                raise errors.LabError(f'{name} did not become {status}')
            time.sleep(0.05)

    def _follow(
        self,
        prefix: str,
        count: int,
        *,
        on_look: Callable[[list[clouds.Seen], float], None] = (
            lambda seen, at: None
        ),
    ) -> float:
        """Show a group of volumes until all are available."""

        def look() -> list[clouds.Seen]:
            return [
                one
                for one in self._cloud.volumes()
                if one.name.startswith(prefix)
            ]

        def done(seen: list[clouds.Seen]) -> bool:
            failed = [one for one in seen if one.status == 'error']
            # One whose cinder-volume or agent died is repaired; one that
            # was refused is not.
            for one in failed:
                if one.state == 'failed':
                    raise errors.LabError(f'{one.name}: {one.properties}')
            return len(seen) == count and all(
                one.status == 'available' and one.state == 'success'
                for one in seen
            )

        return self._screen.follow(
            look,
            expected=count,
            done=done,
            timeout_s=180,
            on_look=on_look,
        )

    def _find(self, name: str) -> clouds.Seen:
        seen = self._cloud.find(name)
        if seen is None:
            raise errors.LabError(f'The cloud has no volume {name}.')
        return seen

    def _file(self, name: str) -> Path:
        return self._pool / f'volume-{self._find(name).volume_id}'

    def _show(self, name: str) -> None:
        columns = [
            *('-c', 'name', '-c', 'size', '-c', 'status'),
            *('-c', 'properties'),
        ]
        self._screen.command(
            f'openstack volume show {name} {" ".join(columns)}'
        )
        self._screen.output(self._cloud.run('volume', 'show', name, *columns))

    def _note(self, what: str, outcome: str) -> None:
        self._results.append(Result(what=what, outcome=outcome))
