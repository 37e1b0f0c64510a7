from __future__ import annotations

import unittest

from oslo_config import cfg

from cinder_virtdc import opts


class OptsTest(unittest.TestCase):
    def test_the_listings_are_complete(self) -> None:
        [(group, driver)] = opts.list_driver_opts()
        self.assertEqual('backend_defaults', group)
        self.assertTrue(all(one.name.startswith('virtdc_') for one in driver))
        listener = {
            getattr(group, 'name', group): options
            for group, options in opts.list_listener_opts()
        }
        self.assertEqual(
            {'virtdc', 'cinder', opts.MONITORING_GROUP.name}, listener.keys()
        )
        names = {one.dest for one in listener['cinder']}
        self.assertLessEqual({'auth_type', 'auth_url', 'password'}, names)

    def test_every_option_explains_itself(self) -> None:
        for option in (
            *opts.DRIVER_OPTS,
            *opts.LISTENER_OPTS,
            *opts.MONITORING_OPTS,
        ):
            with self.subTest(option=option.name):
                self.assertGreater(len(option.help), 40)
                if isinstance(option, cfg.IntOpt | cfg.FloatOpt):
                    self.assertIsNotNone(option.type.min)
                    self.assertIsNotNone(option.type.max)

    def test_the_address_with_its_password_is_secret(self) -> None:
        found = {one.name: one.secret for one in opts.DRIVER_OPTS}
        self.assertTrue(found['virtdc_transport_url'])

    def test_registering_twice_is_fine(self) -> None:
        conf = cfg.ConfigOpts()
        opts.register_listener_opts(conf)
        opts.register_listener_opts(conf)
        conf([], default_config_files=[])
        self.assertEqual(50, conf.virtdc.write_duty_percent)
