"""What executes, and on what: pools, agents, limits."""

from __future__ import annotations

import dataclasses

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import schemas
from virtdc_agent.api import views
from virtdc_agent import exceptions
from virtdc_agent.scheduling import Lane


@dataclasses.dataclass(frozen=True, slots=True)
class Pools:
    """The storage."""

    platform: Platform

    @actions.described(
        Action(
            name='listPools',
            summary='See what the storage holds, can hold, and can do',
            tag='pools',
            rule='pools:list',
            answer=Answer(schema='PoolList'),
            problems={503: 'the journal does not answer; ask again later'},
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List pools, as their storage was lately."""
        access.Access(self.platform, req).allow('pools:list')
        described = self.platform.describe()
        capacity = described.capacity
        resp.media = {
            'data_centre': capacity.data_centre,
            'agent': capacity.agent,
            'pools': [
                views.of_pool(pool, described.readings[pool.name])
                for pool in capacity.pools
            ],
            'exporters': [
                {
                    'name': offer.name,
                    'storage_protocol': offer.storage_protocol,
                }
                for offer in capacity.exporters
            ],
            'operations': sorted(capacity.operations),
            'waiting': capacity.waiting,
            'running': capacity.running,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Agents:
    """All agents that share the journal."""

    platform: Platform

    @actions.described(
        Action(
            name='listAgents',
            summary='List the agents that share this data centre',
            tag='agents',
            rule='agents:list',
            answer=Answer(schema='AgentList'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List agents."""
        access.Access(self.platform, req).allow('agents:list')
        resp.media = {
            'agents': [
                views.of_agent(agent)
                for agent in self.platform.keeping.get_agents()
            ]
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Draining:
    """Having an agent take no more events, or take them again."""

    platform: Platform

    @actions.described(
        Action(
            name='drainAgent',
            summary='Have an agent take no more events; it finishes what runs',
            tag='agents',
            rule='agents:drain',
            answer=Answer(schema='Agent'),
            problems={404: 'no such agent has ever joined'},
        ),
        schemas.BODIES,
    )
    def on_post_drain(
        self, req: falcon.Request, resp: falcon.Response, agent_name: str
    ) -> None:
        """Have it take no more."""
        self._set(req, resp, agent_name, True)

    @actions.described(
        Action(
            name='undrainAgent',
            summary='Have a drained agent take events again',
            tag='agents',
            rule='agents:drain',
            answer=Answer(schema='Agent'),
            problems={404: 'no such agent has ever joined'},
        ),
        schemas.BODIES,
    )
    def on_post_undrain(
        self, req: falcon.Request, resp: falcon.Response, agent_name: str
    ) -> None:
        """Have it take events again."""
        self._set(req, resp, agent_name, False)

    def _set(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        name: str,
        is_draining: bool,
    ) -> None:
        access.Access(self.platform, req).allow('agents:drain')
        self.platform.keeping.set_draining(name, is_draining)
        for agent in self.platform.keeping.get_agents():
            if agent.name == name:
                resp.media = views.of_agent(agent)
                return
        raise exceptions.AgentNotFound(f'Agent {name} is gone.')


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How many operations may run at once."""

    platform: Platform

    @actions.described(
        Action(
            name='listLimits',
            summary='See how many operations may run at once, now and lately',
            tag='limits',
            rule='limits:show',
            answer=Answer(schema='LimitList'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show limits; of the agent that answers."""
        access.Access(self.platform, req).allow('limits:show')
        lanes = []
        for lane in Lane:
            points = self.platform.limits.get_limits(lane)
            lanes.append(
                {
                    'lane': lane.value,
                    'limit': points[-1].limit if points else None,
                    'history': [views.of_limit(point) for point in points],
                }
            )
        resp.media = {'lanes': lanes}
