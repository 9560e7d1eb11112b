/**
 * The full name of an image, with its registry and a tag, as container runtimes store it and a kubelet asks for it (ParseDockerRef
 * of github.com/distribution/reference).
 */
export const fullName = (name) => {
  const [first, ...rest] = name.split('/');
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const path = hasRegistry ? rest.join('/') : name;
  const registry = hasRegistry ? first : 'docker.io';
  const isOfficial = registry === 'docker.io' && !path.includes('/');
  return `${registry}/${isOfficial ? 'library/' : ''}${path}${path.includes(':') ? '' : ':latest'}`;
};
