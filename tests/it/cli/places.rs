//! Where things are and who says so; what is created, and what is not.

use std::fs;
use std::path::Path;

use super::{World, mode};

#[test]
fn a_backup_alone_saves_ones_own_home_and_creates_what_it_needs() {
    let world = World::of_somebody();
    world.write("me/letter", "dear");
    let first = world.run_bare(["backup"]).expect(0);
    assert!(first.out.starts_with("saved snapshot "), "{}", first.out);
    // Neither the key nor the repository is saved into the repository.
    assert!(first.out.contains(": 1 home, 1 file, "), "{}", first.out);
    assert!(first.err.contains("keep a copy in a safe place"), "{}", first.err);
    assert!(first.err.contains("own disk"), "{}", first.err);
    assert_eq!(mode(&world.path("me/.config/homekeep/key")), 0o600);
    assert_eq!(mode(&world.path("me/.local/share/homekeep/repository")), 0o700);
    assert!(world.path("me/.cache/homekeep").is_dir());

    // The words are said once.
    let second = world.run_bare(["backup"]).expect(0);
    assert!(second.out.starts_with("nothing changed since snapshot "), "{}", second.out);
    assert_eq!(second.err, "");
}

#[test]
fn a_repository_that_was_named_is_not_created_unless_told_to() {
    let world = World::new();
    let answer = world.backup(&[]).expect(10);
    assert!(answer.err.contains("homekeep init"), "{}", answer.err);
    assert!(!world.path("repo").exists() && !world.path("key").exists());
    world.backup(&["--init"]).expect(0);
    world.backup(&["--init"]).expect(0);
    assert_eq!(world.commits().len(), 1);
}

#[test]
fn init_makes_the_key_file_that_is_missing_and_uses_one_that_is_there() {
    let world = World::new();
    let answer = world.run(["init"]).expect(0);
    assert!(answer.err.contains("keep a copy in a safe place"), "{}", answer.err);
    assert_eq!(mode(&world.path("key")), 0o600);
    let key = fs::read(world.path("key")).unwrap();
    let answer = world.run(["init", "--repo", "other"]).expect(0);
    assert!(!answer.err.contains("safe place"), "{}", answer.err);
    assert_eq!(fs::read(world.path("key")).unwrap(), key);
    world.run(["snapshots", "-r", "other"]).expect(0);
}

#[test]
fn flags_stand_before_or_after_the_command() {
    let world = World::with_repository();
    let (repo, key, cache) = (world.text("repo"), world.text("key"), world.text("cache"));
    let (repo, key, cache) = (repo.as_str(), key.as_str(), cache.as_str());
    for line in [
        vec!["--repo", repo, "--key-file", key, "--cache-dir", cache, "snapshots"],
        vec!["snapshots", "--repo", repo, "--key-file", key, "--cache-dir", cache],
        vec!["-r", repo, "snapshots", "--key-file", key, "--cache-dir", cache],
    ] {
        world.run_bare(line).expect(0);
    }
}

#[test]
fn the_environment_names_what_flags_do_not() {
    for variable in ["HOMEKEEP_REPO", "HOMEKEEP_REPOSITORY"] {
        let mut world = World::with_repository();
        world.set(variable, world.path("repo"));
        world.set("HOMEKEEP_KEY_FILE", world.path("key"));
        world.set("HOMEKEEP_CACHE_DIR", world.path("elsewhere"));
        world.run_bare(["snapshots"]).expect(0);
        assert!(world.path("elsewhere").is_dir());
        world.run_bare(["snapshots", "-r", "nowhere"]).expect(10);
    }
}

#[test]
fn the_configuration_names_what_neither_flags_nor_environment_do() {
    let mut world = World::with_repository();
    let text = format!(
        "[repository]\nrepo = {:?}\nkey-file = {:?}\ncache-dir = {:?}\n[backup]\nhomes = [{:?}]\ntags = [\"c\"]\n",
        world.path("repo"),
        world.path("key"),
        world.path("cache"),
        world.path("homes/*")
    );
    world.write("homekeep.toml", &text);
    world.set("HOMEKEEP_CONFIG", world.path("homekeep.toml"));
    world.run_bare(["backup"]).expect(0);
    let snapshots = world.snapshots(&[]);
    assert_eq!((&snapshots[0]["tags"][0], snapshots[0]["homes"].as_array().unwrap().len()), (&"c".into(), 2));
    world.set("HOMEKEEP_REPO", world.path("nowhere"));
    world.run_bare(["backup"]).expect(10);
    world.write("homekeep.toml", "[repository]\nrepos = 1\n");
    let answer = world.run_bare(["snapshots"]).expect(2);
    assert!(answer.err.contains("homekeep.toml:2: `repository.repos`"), "{}", answer.err);
}

#[test]
fn a_passphrase_comes_from_a_file_a_command_or_the_environment() {
    let mut world = World::new();
    world.write("password", "open sesame\n");
    let common = |world: &World| [world.text("repo"), world.text("cache")];
    let run = |world: &World, arguments: &[&str]| {
        let [repo, cache] = common(world);
        world.run_bare(["-r", &repo, "--cache-dir", &cache].iter().chain(arguments))
    };
    run(&world, &["init", "--password-file", "password"]).expect(0);
    assert!(!world.path("key").exists());
    run(&world, &["snapshots", "--password-file", "password"]).expect(0);
    run(&world, &["snapshots", "--password-command", "printf 'open sesame'"]).expect(0);
    run(&world, &["snapshots", "--password-command", "echo open says me"]).expect(12);
    run(&world, &["snapshots", "--password-command", "exit 1"]).expect(13);
    run(&world, &["snapshots", "--password-file", "missing"]).expect(13);
    world.set("HOMEKEEP_PASSWORD", "open sesame");
    run(&world, &["snapshots"]).expect(0);
    world.set("HOMEKEEP_PASSWORD_FILE", "missing");
    run(&world, &["snapshots"]).expect(13);
}

#[test]
fn a_new_repository_takes_only_a_place_that_is_free() {
    let world = World::new();
    let answer = world.run(["init", "--repo", "homes"]).expect(1);
    assert!(answer.err.contains("not empty"), "{}", answer.err);
    assert!(!world.path("homes/keys").exists());
    // What restic keeps: nothing of it is touched.
    for name in ["config", "data/", "keys/", "snapshots/"] {
        let path = world.path("restic").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with('/') { fs::create_dir(path).unwrap() } else { fs::write(path, "").unwrap() }
    }
    world.run(["init", "--repo", "restic"]).expect(15);
    world.run(["snapshots", "--repo", "restic"]).expect(15);
    world.run(["init", "--repo", "s3://bucket"]).expect(2);
    assert!(!Path::new(&world.path("s3:")).exists());
}

#[test]
fn a_key_file_that_others_can_read_is_complained_about() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::with_repository();
    fs::set_permissions(world.path("key"), fs::Permissions::from_mode(0o644)).unwrap();
    let answer = world.run(["snapshots", "--quiet"]).expect(0);
    assert!(answer.err.contains("chmod 600"), "{}", answer.err);
}
