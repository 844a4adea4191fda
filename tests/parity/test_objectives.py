"""Schedules, noise, predictions and steps against diffusers' schedulers."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen.diffusion.loss import Target
from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.published import PUBLISHED
from videogen.diffusion.sampler import Sampler
from videogen.diffusion.time import shift_time

pytestmark = pytest.mark.parity

RNG = np.random.default_rng(0)
X, N = RNG.standard_normal((2, 5, 3, 4), np.float32)
OUR_X, OUR_N = jnp.asarray(X), jnp.asarray(N)
STEPS = np.array([0, 17, 250, 700, 999])
COGVIDEOX = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "rescale_betas_zero_snr": True,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
}
LINEAR = {"beta_start": 1e-4, "beta_end": 0.02, "clip_sample": False}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def make(name):
    """(diffusers' scheduler, our objective) of a discrete model."""
    import diffusers

    if name in ("cogvideox_2b", "cogvideox_5b"):
        shift = 3.0 if name == "cogvideox_2b" else 1.0
        kind = diffusers.CogVideoXDDIMScheduler
        return kind(**COGVIDEOX, snr_shift_scale=shift), PUBLISHED[name].objective
    config = PUBLISHED["allegro"].objective
    if name == "ddpm":
        return diffusers.DDPMScheduler(**LINEAR), config
    zero = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction"}
    return diffusers.DDPMScheduler(**LINEAR, **zero), PUBLISHED["walt"].objective


DISCRETE = ("ddpm", "zero_terminal_snr", "cogvideox_2b", "cogvideox_5b")


@pytest.mark.parametrize("name", DISCRETE)
def test_alpha_bar(torch, name):
    """Theirs is a float32 product for DDPM; CogVideoX's is float64."""
    theirs, config = make(name)
    want = theirs.alphas_cumprod.numpy().astype(np.float64)
    got = Target(config).path.alpha_bar
    np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-7)
    if name != "ddpm":
        assert got[-1] == 0 and want[-1] < 1e-7  # DDPMScheduler ends at 2^-24


@pytest.mark.parametrize("name", DISCRETE)
def test_noise_is_added_alike_and_v_is_theirs(torch, name):
    theirs, config = make(name)
    x, n, k = torch.from_numpy(X), torch.from_numpy(N), torch.from_numpy(STEPS)
    p = Target(config).prediction(jnp.asarray((STEPS + 1) / 1000), OUR_X)
    # sqrt(2^-24) of the data is left in DDPMScheduler's last step of zero SNR.
    want = theirs.add_noise(x, n, k).numpy()
    np.testing.assert_allclose(p.see(OUR_X, OUR_N), want, atol=5e-4)
    np.testing.assert_allclose(p.see(OUR_X, OUR_N)[:4], want[:4], atol=2e-5)
    if config.predict == "v":
        v = theirs.get_velocity(x, n, k).numpy()
        np.testing.assert_allclose(p.target(OUR_X, OUR_N)[:4], v[:4], atol=2e-5)


def network(z, told):
    return 0.6 * z + 0.3 * jnp.cos(z) + told.reshape(-1, 1, 1)


def ours(config, sampler):
    target = Target(config)
    velocity = target.velocity(network)
    _, sigma = target.path.coefficients(target.path.clock(jnp.asarray(target.end)))
    start = OUR_N / sigma  # sampling takes sigma times it
    return np.asarray(sampler(velocity, start, target.path.time, target.end))


def theirs_sampled(torch, scheduler, num_steps, z, told=1000.0):
    scheduler.set_timesteps(num_steps)
    z = torch.from_numpy(z) * float(scheduler.init_noise_sigma)
    for t in scheduler.timesteps:
        seen = scheduler.scale_model_input(z, t)
        y = network(jnp.asarray(seen.numpy()), jnp.full((len(z),), float(t) / told))
        z = scheduler.step(torch.from_numpy(np.array(y)), t, z).prev_sample
    return z.numpy()


@pytest.mark.parametrize("name", ["cogvideox_2b", "cogvideox_5b"])
def test_euler_steps_are_ddim_steps_of_cogvideox(torch, name):
    scheduler, config = make(name)
    got = ours(config, Sampler(num_steps=8))
    want = theirs_sampled(torch, scheduler, 8, N)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)


def test_euler_steps_are_ddim_steps_of_noise(torch):
    import diffusers

    scheduler = diffusers.DDIMScheduler(
        **LINEAR, set_alpha_to_one=True, timestep_spacing="trailing"
    )
    got = ours(PUBLISHED["allegro"].objective, Sampler(num_steps=8))
    want = theirs_sampled(torch, scheduler, 8, N)
    np.testing.assert_allclose(got, want, rtol=2e-3, atol=2e-3 * np.abs(want).max())


@pytest.mark.parametrize("shift", [1.0, 3.0, 7.0])
def test_flow_matching_has_their_sigmas_noise_and_steps(torch, shift):
    import diffusers

    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / 8, 8))
    sampler = Sampler(num_steps=8, shift=shift)
    np.testing.assert_allclose(sampler.times(), scheduler.sigmas.numpy(), atol=1e-6)
    z = torch.from_numpy(N)
    for t in scheduler.timesteps:
        y = network(jnp.asarray(z.numpy()), jnp.full((len(z),), float(t) / 1000))
        z = scheduler.step(torch.from_numpy(np.array(y)), t, z).prev_sample
    np.testing.assert_allclose(ours(ObjectiveConfig(), sampler), z.numpy(), atol=1e-4)

    chosen = scheduler.timesteps[[0, 2, 3, 5, 7]]
    want = scheduler.scale_noise(torch.from_numpy(X), chosen, torch.from_numpy(N))
    u = jnp.asarray(chosen.numpy() / 1000)
    p = Target().prediction(u, OUR_X)
    np.testing.assert_allclose(p.see(OUR_X, OUR_N), want.numpy(), atol=1e-5)


def test_the_shift_by_tokens_is_their_exponential_one(torch):
    import diffusers

    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    t = np.linspace(0.05, 0.95, 7)
    time = PUBLISHED["ltx"].time
    shift = time.shift_at((2, 32, 32), 2)
    want = scheduler.time_shift(0.95 + 1.1 / 3, 1.0, t)
    np.testing.assert_allclose(shift_time(jnp.asarray(t), shift), want, rtol=1e-6)


def test_edm_has_their_sigmas_preconditioning_and_steps(torch):
    import diffusers

    scheduler = diffusers.EDMEulerScheduler(
        sigma_min=0.002, sigma_max=80.0, sigma_data=0.5, rho=7.0
    )
    config = PUBLISHED["cosmos_predict1"].objective
    sampler = Sampler(num_steps=12, schedule="karras")
    scheduler.set_timesteps(12)
    u = np.asarray(sampler.times(), np.float64)[:-1]
    np.testing.assert_allclose(u / (1 - u), scheduler.sigmas[:-1].numpy(), rtol=2e-4)

    sigma = torch.tensor([0.05, 0.4, 1.5, 10.0, 60.0])
    shaped = sigma[:, None, None]
    u = jnp.asarray((sigma / (1 + sigma)).numpy())
    target = Target(config)
    p = target.prediction(u, OUR_X)
    noisy = 0.5 * torch.from_numpy(X) + shaped * torch.from_numpy(N)
    seen = scheduler.precondition_inputs(noisy, shaped).numpy()
    np.testing.assert_allclose(p.see(OUR_X, OUR_N), seen, atol=2e-5)
    want = scheduler.precondition_noise(sigma).numpy()
    np.testing.assert_allclose(target.told(u), want, atol=2e-5)
    y = N[::-1].copy()
    want = scheduler.precondition_outputs(noisy, torch.from_numpy(y), shaped).numpy()
    np.testing.assert_allclose(
        0.5 * p.data(p.see(OUR_X, OUR_N), jnp.asarray(y)), want, atol=1e-4
    )

    # They start from sqrt(sigma^2 + 1) noise, we from sigma noise, in units of 1 / 0.5.
    start = N * (80 / float(scheduler.init_noise_sigma))
    want = theirs_sampled(torch, scheduler, 12, start.astype(np.float32), told=1.0)
    velocity = target.velocity(network)
    got = sampler(velocity, OUR_N, target.path.time, target.end)
    np.testing.assert_allclose(0.5 * got, want, rtol=1e-3, atol=1e-3)
